# SPDX-License-Identifier: Apache-2.0
"""From raw objects to typed ones: every problem is named with its place, nothing is raised else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.mailserver import MailServerSpec, MailServerStatus
from postroom.api.masked import Masked
from postroom.api.names import Kind
from postroom.api.resource import (
    STATUSES,
    InvalidSpec,
    Kept,
    Metadata,
    Problem,
    annotations_read,
    fields_at,
    parse,
    parse_spec,
    parse_status,
)
from postroom.api.sendingdomain import SendingDomainSpec

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=10,
)


def problems(kind: Kind, spec: Any) -> list[str]:
    with pytest.raises(InvalidSpec) as caught:
        parse_spec(kind, spec)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, "spec.domain: is required"),
        ({"domain": "example.com", "foo": 1}, "spec.foo: is not a field of this kind"),
        ({"domain": "example.com", "interval": "1s"}, "spec.interval: must be a duration from 1m"),
        ({"domain": "example.com", "interval": 5}, "spec.interval: must be a duration"),
        (
            {"domain": "example.com", "interval": "99999999999h"},
            "spec.interval: must be a duration",
        ),
        ({"domain": "Example.com"}, "spec.domain: must be a domain name such as"),
        ({"domain": "example.com."}, "spec.domain: must be a domain name such as"),
        (
            {"domain": "example.com", "dkim": [{"selector": "k1"}]},
            "spec.dkim[0]: must have exactly",
        ),
        ({"domain": "example.com", "dmarc": {"policy": "None"}}, "spec.dmarc.policy: must be one"),
        ({"domain": "example.com", "require": ["MX"]}, "spec: require names MX"),
        ([], "spec: must be a mapping"),
    ],
)
def test_problems_name_their_place(spec: Any, expected: str) -> None:
    assert any(problem.startswith(expected) for problem in problems(Kind.SENDING_DOMAIN, spec))


def test_all_problems_are_named_at_once() -> None:
    assert (
        len(problems(Kind.MAIL_SERVER, {"host": "1.2.3.4.", "port": 0, "tls": {"mode": "x"}})) == 3
    )


def test_snake_case_is_no_field() -> None:
    spec = {"host": "smtp.example.com", "credentials_ref": {"name": "x"}}
    assert problems(Kind.MAIL_SERVER, spec) == [
        "spec.credentials_ref: is not a field of this kind: did you mean credentialsRef?"
    ]


@given(kind=st.sampled_from(list(Kind)), raw=JSON)
def test_no_spec_breaks_the_parser(kind: Kind, raw: Any) -> None:
    try:
        parse_spec(kind, raw)
    except InvalidSpec as error:
        assert error.problems


@given(kind=st.sampled_from(list(Kind)), raw=JSON)
def test_no_stored_status_breaks_the_parser(kind: Kind, raw: Any) -> None:
    assert parse_status(kind, raw).conditions is not None


@given(JSON)
def test_problems_do_not_repeat_the_value(raw: Any) -> None:
    canary = "hunter2-canary"
    spec = {"host": "smtp.example.com", "credentialsRef": {"name": canary, "password": canary}}
    assert canary not in " ".join(problems(Kind.MAIL_SERVER, {**spec, "x": raw}))


def test_request_tokens_of_either_annotation_are_joined() -> None:
    annotations = {"postroom.dev/requested-at": "a", "reconcile.fluxcd.io/requestedAt": "b"}
    assert Metadata.of({"annotations": annotations}).requested_at == "a,b"
    assert Metadata.of({}).requested_at is None


@pytest.mark.parametrize("request_", ["requested-at", "send-test", "backfill"])
@given(st.text(max_size=600), st.text(max_size=600), st.sampled_from(["a" * 127, "a" * 400, ""]))
def test_another_request_is_another_however_long_it_is(
    request_: str, one: str, other: str, begin: str
) -> None:
    """Also where the operator keeps what it reads of annotations only."""

    def token(metadata: Metadata) -> str | None:
        asked = (metadata.requested_at, metadata.send_test, metadata.backfill)
        assert sum(each is not None for each in asked) <= 1
        return next((each for each in asked if each is not None), None)

    tokens = []
    for text in (one, other):
        asked = {f"postroom.dev/{request_}": begin + text}
        direct = token(Metadata.of({"annotations": asked}))
        kept = token(Metadata.of({"annotations": annotations_read(asked)}))
        for each in (direct, kept):
            assert each is None or len(each) <= 128
        assert direct == kept
        tokens.append((direct, kept))
    same = one == other
    assert [first == second for first, second in zip(*tokens, strict=True)] == [same, same]


def test_a_whole_object() -> None:
    one = parse(Kind.MAIL_SERVER, {"metadata": {"name": "s"}, "spec": {"host": "smtp.example.com"}})
    assert str(one.key) == "mailservers//s"


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{:>20}".format, "%s".__mod__])
def test_masked_values_do_not_show(shown: Any) -> None:
    assert "hunter2" not in shown(Masked("hunter2"))


def test_fields_that_are_legal_at_a_place() -> None:
    assert {"domain", "sendingIPs", "mtaSTS"} <= set(fields_at([], SendingDomainSpec))
    assert "publicKeyRef" in fields_at(["dkim", 0], SendingDomainSpec)
    assert {"name", "key"} <= set(fields_at(["dkim", 1, "publicKeyRef"], SendingDomainSpec))
    assert "mode" in fields_at(["tls"], MailServerSpec)
    assert fields_at(["host"], MailServerSpec) == []
    assert fields_at(["nothing", "below"], MailServerSpec) == []


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("is required", "spec.domain: is required."),
        ("must be 'A': did you mean A?", "spec.domain: must be 'A': did you mean A?"),
    ],
)
def test_a_problem_ends_in_one_mark(message: str, sentence: str) -> None:
    assert Problem(("spec", "domain"), message).sentence == sentence


def test_what_is_kept_is_understood_once_and_what_is_not_kept_each_time() -> None:
    kept = Kept({"host": "smtp.example.com", "port": 587})
    assert parse_spec(Kind.MAIL_SERVER, kept) is parse_spec(Kind.MAIL_SERVER, kept)
    plain = dict(kept)
    understood = parse_spec(Kind.MAIL_SERVER, plain)
    plain["port"] = 465
    assert parse_spec(Kind.MAIL_SERVER, plain) != understood


def test_metadata_that_is_kept_is_understood_once() -> None:
    raw = {"name": "server", "generation": 3, "annotations": {"postroom.dev/send-test": "n1"}}
    kept = Kept(raw)
    assert Metadata.of(kept) is Metadata.of(kept)
    assert Metadata.of(kept) == Metadata.of(raw)


def test_equal_ones_that_are_kept_mean_the_same_under_each_kind() -> None:
    status = Kept({"observedGeneration": 3})
    found = {kind: parse_status(kind, status) for kind in Kind}
    assert {kind: type(each) for kind, each in found.items()} == STATUSES
    assert parse_status(Kind.MAIL_SERVER, Kept(status)) == found[Kind.MAIL_SERVER]


def test_what_is_kept_and_cannot_be_understood_is_refused_each_time() -> None:
    kept = Kept({"host": 7})
    for _ in range(2):
        with pytest.raises(InvalidSpec):
            parse_spec(Kind.MAIL_SERVER, kept)
    assert parse_status(Kind.MAIL_SERVER, kept) == MailServerStatus()


def test_a_misspelt_field_is_told_before_the_one_that_is_missing_for_it() -> None:
    with pytest.raises(InvalidSpec) as raised:
        parse_spec(Kind.SENDING_DOMAIN, {"domian": "a.example"})
    assert [str(problem) for problem in raised.value.problems] == [
        "spec.domian: is not a field of this kind: did you mean domain?",
        "spec.domain: is required",
    ]
