# SPDX-License-Identifier: Apache-2.0
"""What authenticates a domain's mail: which records, short keys, the policy, and alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from dnsworld.keys import rsa_public_key
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Question, RecordType
from postroom.dns.diagnosis.sender_authentication import (
    Judged,
    SenderAuthentication,
    all_faulty,
    of_domain,
    policy_names,
)
from postroom.dns.judging.judge import judge
from postroom.dns.judging.judgement import Context, blind
from postroom.dns.judging.seen import Seen
from unit.dns.diagnosis_looks import KEY, PROVIDER
from unit.dns.judging_looks import Key, Names, plan_of, record

SHORT = rsa_public_key(5, 512)
BACK: dict[str, Any] = {"returnPath": {"name": "b", "cname": "b.provider.net"}}
SPF = {"spf": {"includes": ["spf.provider.net"]}}
SIGNED = {
    "dkim": [
        {"selector": "s1", "publicKey": KEY},
        {"selector": "k1", "cname": "k1.provider.net"},
        {"selector": "s0", "publicKey": KEY, "role": "Retired"},
        {"selector": "s2", "publicKey": KEY, "role": "Next"},
    ]
}
POLICY: dict[Key, list[str]] = {("_dmarc.example.com", "TXT"): ["v=DMARC1; p=none"]}


def gathered(records: dict[Key, list[str]], **spec: Any) -> SenderAuthentication:
    """Judge every record of a plan, look at the policies, and gather what authenticates."""
    plan = plan_of(**spec)
    context, names = Context(plan), Names({**PROVIDER, **records})
    policies = (Question(name, RecordType.TXT) for name in policy_names(plan))
    seen = Seen().with_answers(names.answer(asked, authenticated=False) for asked in policies)
    for planned in plan.records:
        seen = seen.with_answers(names.seen(planned, context).answers.values())
    return of_domain(plan, {each.id: judge(each, seen, context) for each in plan.records}, seen)


def ids(records: Sequence[Judged]) -> list[str]:
    return [id for id, _ in records]


@pytest.mark.parametrize(
    ("spec", "spf", "dkim", "reverse"),
    [
        ({}, [], [], []),
        (SPF, ["spf"], [], []),
        # Only an active selector signs.
        (SIGNED, [], ["dkim-s1", "dkim-k1"], []),
        # An alias leads to the policy of whoever gets the bounces.
        (BACK, ["return-path"], [], []),
        ({"sendingIPs": ["192.0.2.25"]}, [], [], ["reverse-192.0.2.25"]),
        ({"mx": [{"host": "mx.provider.net"}]}, [], [], []),
    ],
)
def test_what_authenticates(
    spec: dict[str, Any], spf: list[str], dkim: list[str], reverse: list[str]
) -> None:
    found = gathered(POLICY, **spec)
    assert (ids(found.spf), ids(found.dkim), ids(found.reverse)) == (spf, dkim, reverse)


def test_records_without_a_judgement_are_left_out() -> None:
    assert of_domain(plan_of(**SPF, **SIGNED), {}, Seen()).spf == ()


def test_keys_that_verifiers_must_not_accept_are_told_with_their_size() -> None:
    """RFC 8301 section 3.2: of less than 1024 bits."""
    published = {
        ("s1._domainkey.example.com", "TXT"): [f"p={SHORT}"],
        ("k1.provider.net", "TXT"): [f"p={SHORT}"],
        ("s0._domainkey.example.com", "TXT"): [f"p={SHORT}"],
    }
    assert gathered(published, **SIGNED).short_keys == (("dkim-s1", 512), ("dkim-k1", 512))
    long: dict[Key, list[str]] = {("s1._domainkey.example.com", "TXT"): [f"p={KEY}", "text"]}
    assert gathered(long, **SIGNED).short_keys == ()


@pytest.mark.parametrize(
    ("domain", "records", "applies"),
    [
        ("example.com", {}, False),
        ("example.com", POLICY, True),
        ("a.example.com", POLICY, True),
    ],
)
def test_whether_a_policy_applies(
    domain: str, records: dict[Key, list[str]], applies: bool
) -> None:
    assert gathered(records, domain=domain, **SPF).policy_applies is applies


def test_what_could_not_be_seen_of_a_policy_is_left_open() -> None:
    found = of_domain(plan_of(**SPF), {}, Seen())
    assert found.policy_applies is None


STRICT: dict[Key, list[str]] = {("_dmarc.example.com", "TXT"): ["v=DMARC1; p=none; aspf=s"]}


@pytest.mark.parametrize(
    ("records", "spec", "misaligned"),
    [
        (STRICT, BACK, "b.example.com"),
        (POLICY, BACK, None),
        # DKIM is there to align, nothing is held against it, or it is the domain itself.
        (STRICT, {**BACK, **SIGNED}, None),
        ({}, BACK, None),
        (STRICT, SPF, None),
    ],
)
def test_the_only_identifier_must_align(
    records: dict[Key, list[str]], spec: dict[str, Any], misaligned: str | None
) -> None:
    assert gathered(records, **spec).misaligned == misaligned


def test_policies_are_looked_for_from_the_domain_and_the_return_path() -> None:
    assert policy_names(plan_of()) == ("_dmarc.example.com", "_dmarc.com")
    assert policy_names(plan_of(**BACK)) == (
        "_dmarc.example.com",
        "_dmarc.com",
        "_dmarc.b.example.com",
    )


@pytest.mark.parametrize(
    ("states", "faulty"),
    [
        (["Missing", "Wrong", "Conflicting"], True),
        (["Missing", "Valid"], False),
        (["Unknown"], False),
        (["Propagating", "Wrong"], False),
        ([], True),
    ],
)
def test_one_that_may_be_valid_is_enough(states: list[str], faulty: bool) -> None:
    judged = blind(record(plan_of(**SPF), "spf"))
    made = [(state, replace(judged, state=RecordState(state))) for state in states]
    assert all_faulty(made) is faulty
