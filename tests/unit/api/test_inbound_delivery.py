# SPDX-License-Identifier: Apache-2.0
"""``spec.inbound.deliver``: what is taken, what is refused and with which words. The same tables
are put to a real API server by the cluster test of this name."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from postroom.api import inbound_delivery
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.names import Kind
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.delivery.signing import parse_key

SERVICE: dict[str, Any] = {"name": "tickets", "port": 8080}
DELIVER: dict[str, Any] = {"service": SERVICE, "signingKeyRef": {"name": "tickets-hook"}}
ACCOUNT: dict[str, Any] = {
    "address": "support@example.com",
    "credentialsRef": {"name": "mailbox"},
    "imap": {"host": "imap.example.com"},
}
BUNDLE = {"caBundleRef": {"name": "ca"}}
ONE_OUTLET = "must be set, or jetStream: one of them, and not both"
SIGNED = "must be set where service is, and only there"
ONCE = "must have each mailbox once; INBOX is the same in capitals and without"
NO_SIZE = "must be a size from 1Ki to 100Mi, such as 25Mi or 500k"
NO_PATH = "must be a path such as /mail, without query and fragment"
ONLY_HTTPS = "must come with scheme HTTPS: over HTTP no certificate is shown"

#: Changes of the good spec that are taken.
GOOD: list[dict[str, Any]] = [
    {},
    {"service": {**SERVICE, "path": "/hooks/mail;v=1/%7Ea/@in", "scheme": "HTTPS", **BUNDLE}},
    {"service": {**SERVICE, "scheme": "HTTPS"}},
    {"service": None, "signingKeyRef": None, "jetStream": {}},
    {"mailboxes": ["INBOX", "Archiv/Größe", "Inbox/sub", "archive", "Archive"]},
    {"mailboxes": ["inbox"], "start": "Backfill", "format": "CloudEvent"},
    *({"maxSize": size} for size in ("1Ki", "1024", "2k", "100Mi", "104857600", "104M")),
]
#: (change of the good spec, where, words of the answer).
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"service": {**SERVICE, **BUNDLE}}, "service.caBundleRef", ONLY_HTTPS),
    ({"service": {**SERVICE, "scheme": "HTTP", **BUNDLE}}, "service.caBundleRef", ONLY_HTTPS),
    ({"service": {**SERVICE, "path": "mail"}}, "service.path", NO_PATH),
    ({"service": {**SERVICE, "path": "/mail?a=b"}}, "service.path", NO_PATH),
    ({"service": {**SERVICE, "path": "/mail#a"}}, "service.path", NO_PATH),
    ({"service": {**SERVICE, "path": "/a b"}}, "service.path", NO_PATH),
    ({"service": {**SERVICE, "path": "/a\r\nHost: b"}}, "service.path", NO_PATH),
    ({"service": {**SERVICE, "path": ""}}, "service.path", NO_PATH),
    ({"service": {**SERVICE, "port": 0}}, "service.port", "greater than or equal to 1"),
    ({"service": {**SERVICE, "scheme": "https"}}, "service.scheme", '"HTTP", "HTTPS"'),
    ({"service": {"port": 1}}, "service.name", "Required value"),
    ({"service": {**SERVICE, "namespace": "x"}}, "service.namespace", "unknown field"),
    ({"service": {**SERVICE, "name": "a.b_c"}}, "service.name", "must be the name of an object"),
    ({"jetStream": {}}, "service", ONE_OUTLET),
    ({"service": None, "signingKeyRef": None}, "service", ONE_OUTLET),
    ({"signingKeyRef": None}, "signingKeyRef", SIGNED),
    ({"service": None, "jetStream": {}}, "signingKeyRef", SIGNED),
    (
        {"service": None, "signingKeyRef": None, "jetStream": {"stream": "x"}},
        "jetStream.stream",
        "unknown field",
    ),
    ({"mailboxes": []}, "mailboxes", "should have at least 1 items"),
    ({"mailboxes": list("abcdefghi")}, "mailboxes", "must have at most 8"),
    ({"mailboxes": ["a", "b", "a"]}, "mailboxes", ONCE),
    ({"mailboxes": ["INBOX", "Inbox"]}, "mailboxes", ONCE),
    ({"mailboxes": ["inbox", "a", "iNBOX"]}, "mailboxes", ONCE),
    ({"mailboxes": ["a\nb"]}, "mailboxes[0]", "must be the name of a mailbox"),
    ({"mailboxes": ["a\u202eb"]}, "mailboxes[0]", "must be the name of a mailbox"),
    ({"start": "now"}, "start", '"Now", "Backfill"'),
    ({"format": "JSON"}, "format", '"Raw", "CloudEvent"'),
    *(
        ({"maxSize": size}, "maxSize", NO_SIZE)
        for size in (
            "0",
            "1",
            "1023",
            "1k",
            "101Mi",
            "104857601",
            "25MB",
            "1Gi",
            "-1Mi",
            "1.5Mi",
            "",
        )
    ),
    ({"maxSize": 1000000}, "maxSize", "must be of type string"),
]


def problems(deliver: dict[str, Any], **account: Any) -> list[str]:
    deliver = {name: each for name, each in deliver.items() if each is not None}
    spec = {**ACCOUNT, **account, "inbound": {"deliver": deliver}}
    try:
        parse_spec(
            Kind.EMAIL_ACCOUNT, {name: each for name, each in spec.items() if each is not None}
        )
    except InvalidSpec as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize("change", GOOD)
def test_what_is_taken(change: dict[str, Any]) -> None:
    assert problems({**DELIVER, **change}) == []


@pytest.mark.parametrize(("change", "where", "words"), BAD)
def test_what_is_refused_where_it_stands(change: dict[str, Any], where: str, words: str) -> None:
    found = problems({**DELIVER, **change})
    assert len(found) == 1 and found[0].startswith(
        ("spec.inbound.deliver.", "spec.inbound.deliver: ")
    )
    assert where.rpartition(".")[2] in found[0]
    if words.startswith(
        ("must be a size", "must be a path", "must have each", "must come with", "must be set")
    ):
        assert words in found[0]


def test_what_it_needs() -> None:
    sentence = "must be set where inbound.deliver is: it names the mailbox that mail comes from"
    assert sentence in " ".join(problems(DELIVER, imap=None))
    assert problems({"service": SERVICE})
    assert problems({"signingKeyRef": {"name": "a"}})


def test_what_is_left_out_is_the_inbox_from_now_on_raw() -> None:
    spec = parse_spec(Kind.EMAIL_ACCOUNT, {**ACCOUNT, "inbound": {"deliver": DELIVER}})
    assert isinstance(spec, EmailAccountSpec) and spec.inbound is not None
    deliver = spec.inbound.deliver
    assert deliver is not None and deliver.service is not None
    told = deliver.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert told["mailboxes"] == ["INBOX"]
    assert (told["start"], told["maxSize"], told["format"]) == ("Now", "25Mi", "Raw")
    assert deliver.service.path == "/" and deliver.service.scheme.value == "HTTP"
    # Nothing of it is the operator's to repeat.
    assert spec.inbound_settings is None


def test_nothing_is_told_of_delivery_where_none_is_asked_for() -> None:
    ai = {"enabled": True, "behavior": "TriageOnly"}
    spec = parse_spec(Kind.EMAIL_ACCOUNT, {**ACCOUNT, "inbound": {"ai": ai}})
    assert isinstance(spec, EmailAccountSpec) and spec.inbound_settings is not None
    told = spec.inbound_settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert told == {"ai": ai}


@pytest.mark.parametrize(
    ("text", "octets"), [("1Ki", 1024), ("500k", 500_000), ("25Mi", 26_214_400), ("7M", 7_000_000)]
)
def test_sizes_are_those_of_kubernetes(text: str, octets: int) -> None:
    assert inbound_delivery.octets(text) == octets


@given(st.text(max_size=12))
def test_what_is_no_size_is_none(text: str) -> None:
    assert inbound_delivery.octets(text) >= 0
    if not problems({**DELIVER, "maxSize": text}):
        assert 1024 <= inbound_delivery.octets(text) <= inbound_delivery.LARGEST


@pytest.mark.parametrize("written", ["INBOX", "inbox", "InBox"])
def test_the_inbox_has_one_name(written: str) -> None:
    assert inbound_delivery.canonical(written) == "INBOX"
    assert inbound_delivery.canonical(f"{written}/a") == f"{written}/a"


def test_the_sample_is_taken_and_its_key_signs() -> None:
    folder = Path(__file__).resolve().parents[3] / "manifests" / "samples" / "inbound"
    account = yaml.load((folder / "account.yaml").read_text(), Loader=yaml.CSafeLoader)
    assert not problems(account["spec"]["inbound"]["deliver"])
    assert parse_spec(Kind.EMAIL_ACCOUNT, account["spec"])
    secret, service = yaml.load_all(
        (folder / "application.yaml").read_text(), Loader=yaml.CSafeLoader
    )
    deliver = account["spec"]["inbound"]["deliver"]
    assert parse_key(secret["stringData"]["current"])
    assert deliver["signingKeyRef"]["name"] == secret["metadata"]["name"]
    assert deliver["service"]["name"] == service["metadata"]["name"]
    assert deliver["service"]["port"] in [each["port"] for each in service["spec"]["ports"]]
