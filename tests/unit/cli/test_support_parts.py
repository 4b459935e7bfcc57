# SPDX-License-Identifier: Apache-2.0
"""What a support bundle shows of each thing: what is named, and nothing that others may say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import Kind
from postroom.cli import support_parts
from postroom.cli.support_parts import MASK

CANARY = "zq7XcanaryV93kQ"
OURS = "postroom.dev/postroom"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"authorization: basic {CANARY}",
        f"AUTH PLAIN {CANARY}",
        f"password={CANARY}",
        f'"password": "{CANARY}"',
        f'password="two words \\" {CANARY}"',
        f"password='two words {CANARY}'",
        f"client_secret: {CANARY}",
        f"refresh_token={CANARY}&x=1",
        f"api-key = {CANARY}",
        f"smtp://me:{CANARY}@smtp.example.com:587",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}",
        f"eyJhbGciOiJSUzI1NiJ9.{CANARY}.{CANARY}",
        f"ya29.{CANARY}",
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str) -> None:
    shown = support_parts.masked(f"before {text}")
    assert CANARY not in shown
    assert MASK in shown
    assert shown.startswith("before ")


@pytest.mark.parametrize(
    "text",
    [
        "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA",
        "The token endpoint answers 401.",
        "Secret login has no key password.",
        "https://docs.example.com/page@2",
        "smtp.example.com:587 answers and accepts the credentials.",
    ],
)
def test_what_only_speaks_of_one_stays(text: str) -> None:
    assert support_parts.masked(text) == text


def test_of_an_object_its_status_is_shown_as_far_as_it_is_known() -> None:
    raw: dict[str, Any] = {
        "metadata": {
            "name": "a",
            "namespace": "mail",
            "generation": 3,
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY},
            "labels": {"a": CANARY},
            "managedFields": [{"manager": CANARY}],
        },
        "spec": {"host": CANARY},
        "status": {
            "endpoint": "smtp.example.com:587",
            "unknown": CANARY,
            "lastProbe": {"stage": "Auth", "serverText": CANARY, "note": CANARY},
            "conditions": [{"type": "Ready", "status": "True", "extra": CANARY}],
        },
    }
    assert support_parts.object_shown(Kind.MAIL_SERVER, raw) == {
        "kind": "MailServer",
        "metadata": {"namespace": "mail", "name": "a", "generation": 3},
        "status": {
            "endpoint": "smtp.example.com:587",
            "lastProbe": {"stage": "Auth"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def test_the_schema_of_a_kind_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Kind] = []
    whole = support_parts.definition

    def counted(kind: Kind) -> dict[str, Any]:
        made.append(kind)
        return whole(kind)

    monkeypatch.setattr(support_parts, "definition", counted)
    support_parts._status_of.cache_clear()
    for _ in range(100):
        support_parts.object_shown(Kind.MAIL_SERVER, {"status": {"endpoint": "a:1"}})
    assert made == [Kind.MAIL_SERVER]


@pytest.mark.parametrize("kind", Kind)
def test_an_object_without_a_status_has_none(kind: Kind) -> None:
    assert support_parts.object_shown(kind, {}) == {
        "kind": kind.value,
        "metadata": {},
        "status": {},
    }


@pytest.mark.parametrize(
    ("reporter", "speaks"), [(OURS, True), ("policy-engine", False), (None, False)]
)
def test_an_event_speaks_where_we_wrote_it(reporter: str | None, speaks: bool) -> None:
    raw = {
        "type": "Warning",
        "reason": "RecordNotFound",
        "message": CANARY,
        "count": 2,
        "reportingComponent": reporter,
        "involvedObject": {"kind": "SendingDomain", "name": "a", "fieldPath": CANARY},
        "related": {"name": CANARY},
        "metadata": {"annotations": {"a": CANARY}},
    }
    shown = support_parts.event_shown(raw, OURS)
    assert (shown["reason"], shown["count"]) == ("RecordNotFound", 2)
    assert shown["involvedObject"] == {"kind": "SendingDomain", "name": "a"}
    assert (CANARY in json.dumps(shown)) is speaks
    sentence = {**raw, "reason": f"a sentence with {CANARY}", "reportingComponent": None}
    assert "reason" not in support_parts.event_shown(sentence, OURS)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["run"], ["run"]),
        (["run", "--namespace=mail"], ["run", "--namespace=mail"]),
        (["run", "--namespace", "mail"], ["run", "--namespace", "mail"]),
        (["run", f"--other={CANARY}"], ["run", f"--other={MASK}"]),
        (["run", "--other", CANARY], ["run", "--other", MASK]),
        (["run", "--namespace=mail", CANARY], ["run", "--namespace=mail", MASK]),
        ([], []),
    ],
)
def test_flags_have_values_where_they_are_known(arguments: list[str], shown: list[str]) -> None:
    assert support_parts.flags_shown(arguments, {"--namespace"}) == shown


def line(**fields: Any) -> str:
    return json.dumps({"timestamp": "2026-11-21T10:00:00.000+00:00", "level": "info", **fields})


def test_our_lines_are_told_and_of_others_that_there_was_one() -> None:
    ours = line(logger="postroom.controller.run", message="It runs.", object={"name": "a"})
    audit = line(logger="audit", message="Sent.", audit={"verb": "send", "password": "x"})
    foreign = line(logger="kopf.objects", message=CANARY, object={"name": "a", "extra": CANARY})
    pretends = line(logger="postroomx", message=CANARY, level=f"{CANARY} in words")
    shown = [
        json.loads(each)
        for each in support_parts.log_shown(
            "\n".join([ours, audit, foreign, pretends])
        ).splitlines()
    ]
    assert [each.get("message") for each in shown] == ["It runs.", "Sent.", None, None]
    assert shown[0]["object"] == {"name": "a"}
    assert shown[2]["logger"] == "kopf.objects"
    assert CANARY not in json.dumps(shown)


def test_an_exception_is_where_it_came_by_and_its_type() -> None:
    traceback = (
        "Traceback (most recent call last):\n"
        '  File "/usr/lib/python3.12/site-packages/postroom/log.py", line 7, in f\n'
        f"    login(password={CANARY!r})\n"
        f"ValueError: invalid literal {CANARY}\n"
    )
    shown = support_parts.log_shown(line(logger="postroom", message="A bug.", exception=traceback))
    assert json.loads(shown)["exception"] == ["postroom/log.py:7", "ValueError"]


@pytest.mark.parametrize("text", [f"12:00:00 WARNING {CANARY}", f"    {CANARY}", "[1, 2]", '"x"'])
def test_lines_of_text_are_counted_and_not_shown(text: str) -> None:
    shown = support_parts.log_shown(text)
    assert CANARY not in shown
    assert f"({len(text)} characters left out" in shown


@given(st.text())
def test_whatever_stands_in_a_log_each_line_becomes_one(text: str) -> None:
    shown = support_parts.log_shown(text).splitlines()
    assert len(shown) == len([each for each in text.splitlines() if each.strip()])


def test_metrics_of_others_are_left_out() -> None:
    text = f"""# HELP postroom_objects Objects.
# TYPE postroom_objects gauge
postroom_objects{{kind="MailServer"}} 3
# HELP other_total {CANARY}
other_total{{password="{CANARY}"}} 1
process_cpu_seconds_total 4
"""
    assert support_parts.metrics_shown(text).splitlines() == [
        "# HELP postroom_objects Objects.",
        "# TYPE postroom_objects gauge",
        'postroom_objects{kind="MailServer"} 3',
        "process_cpu_seconds_total 4",
    ]
