# SPDX-License-Identifier: Apache-2.0
"""Whose key stands in the place of the required one, and which keys a fix takes away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.dns import dkim as keys
from postroom.dns.answers import RecordType
from postroom.dns.diagnosis.diagnose import diagnosed
from postroom.dns.diagnosis.dkim import causes, with_keys_named
from postroom.dns.diagnosis.synthesis import invented_name
from postroom.dns.finding_codes import Code
from postroom.dns.judging.fixes import removal
from postroom.dns.judging.fixes import replace as replacing
from postroom.dns.judging.judgement import Cause, Evidence
from unit.dns.diagnosis_looks import KEY, OTHER_KEY, case_of
from unit.dns.dkim_keys import ed25519_private_base64
from unit.dns.judging_looks import Key

S1: Key = ("s1._domainkey.example.com", "TXT")
SIBLING = invented_name("_domainkey.example.com")
TWO = {
    "dkim": [
        {"selector": "s1", "publicKey": KEY},
        {"selector": "s0", "publicKey": OTHER_KEY, "role": "Retired"},
    ]
}


def described(text: str) -> str:
    key = keys.parse(f"p={text}").key
    assert key is not None
    return keys.described(key)


@pytest.mark.parametrize(
    ("text", "code", "evidence"),
    [
        # What leaves the key itself whole proves that nothing else is wrong.
        (
            f"-----BEGIN PUBLIC KEY----- {KEY} -----END PUBLIC KEY-----",
            "DKIM_PEM_HEADERS",
            Evidence.PROVEN,
        ),
        (f"v=DKIM1 k=rsa p={KEY}", "DKIM_SEMICOLON_LOST", Evidence.PROVEN),
        (f"v=DKIM1; k=rsa; h=sha1; p={KEY}", "DKIM_HASH", Evidence.SHOWN),
    ],
)
def test_a_slip_is_as_sure_as_what_undoing_it_yields(
    text: str, code: str, evidence: Evidence
) -> None:
    found = {cause.code: cause for cause in causes(case_of("dkim-s1", {S1: [text, "b"]}))}
    assert found[Code(code)].evidence is evidence
    fix = found[Code(code)].fix
    # A selector has one TXT record (RFC 6376 section 3.6.2.2): all that is there makes way.
    assert fix is not None
    assert len(fix.remove) == 2


def test_nothing_is_explained_beside_a_key_that_others_can_sign_with() -> None:
    case = case_of("dkim-s1", {S1: [f"p={ed25519_private_base64()}", f'"p={KEY}"']})
    assert list(causes(case)) == [case.judgement.cause]


def test_a_wildcard_s_text_is_nobody_s_slip() -> None:
    text = f"v=DKIM1 k=rsa p={KEY}"
    wild = {S1: [text], (SIBLING, "TXT"): [text]}
    assert list(causes(case_of("dkim-s1", wild))) == []
    assert list(causes(case_of("dmarc", {("_dmarc.example.com", "TXT"): [text]}))) == []


@pytest.mark.parametrize(
    ("records", "whose"),
    [
        ({S1: [f"p={OTHER_KEY}"]}, "that of s0._domainkey.example.com, which is retired."),
        (
            {
                (S1[0], "CNAME"): ["s1.domainkey.u1.wl1.sendgrid.net"],
                ("s1.domainkey.u1.wl1.sendgrid.net", "TXT"): [f"p={OTHER_KEY}"],
            },
            "that of s0._domainkey.example.com, which is retired.",
        ),
    ],
)
def test_a_key_of_the_plan_is_told_by_its_selector(
    records: dict[Key, list[str]], whose: str
) -> None:
    found = list(causes(case_of("dkim-s1", records, **TWO)))
    assert [cause.code for cause in found] == ["DKIM_KEY_OTHER"]
    assert found[0].message.endswith(whose)
    assert described(OTHER_KEY) in found[0].message


def test_a_key_behind_an_alias_is_its_owner_s_and_any_other_nobody_s() -> None:
    target = "s1.domainkey.u1.wl1.sendgrid.net"
    behind = {(S1[0], "CNAME"): [target], (target, "TXT"): [f"p={OTHER_KEY}"]}
    (found,) = causes(case_of("dkim-s1", behind))
    assert found.message.endswith(f"that of {target} (Twilio SendGrid), to which a CNAME leads.")
    assert list(causes(case_of("dkim-s1", {S1: [f"p={OTHER_KEY}"]}))) == []


@pytest.mark.parametrize(
    ("there", "gone", "named"),
    [
        ([f"p={OTHER_KEY}", "b"], [f"p={OTHER_KEY}", "b"], True),
        # It stays, or is published anew, or is none.
        ([f"p={OTHER_KEY}", f"v=DKIM1; p={OTHER_KEY}"], [f"p={OTHER_KEY}"], False),
        ([f"p={OTHER_KEY}", "b"], ["b"], False),
        ([f"p={KEY}"], [f"p={KEY}"], False),
        (["p="], ["p="], False),
    ],
)
def test_a_key_that_the_fix_takes_away_is_named(
    there: list[str], gone: list[str], named: bool
) -> None:
    case = case_of("dkim-s1", {S1: there})
    cause = Cause(Code.DKIM_MULTIPLE, "Several.", replacing(case.planned, gone))
    said = with_keys_named(case, cause)
    assert (described(OTHER_KEY) in said.message) is named
    assert (said == cause) is not named
    # Not where it is told already, and what was mistyped signs nothing.
    assert with_keys_named(case, said) == said
    near = replace(cause, code=Code.VALUE_NEAR)
    assert with_keys_named(case, near) == near


def test_what_an_alias_leads_to_is_not_taken_away() -> None:
    behind: dict[Key, list[str]] = {
        (S1[0], "CNAME"): ["k.provider.org"],
        ("k.provider.org", "TXT"): [f"p={OTHER_KEY}"],
    }
    case = case_of("dkim-s1", behind)
    fix = replacing(case.planned, (), more=removal(S1[0], RecordType.TXT, [f"p={OTHER_KEY}"]))
    cause = Cause(Code.DKIM_MULTIPLE, "Several.", fix)
    assert with_keys_named(case, cause) == cause


@pytest.mark.parametrize(
    ("texts", "offered", "said"),
    [
        ([f"v=DKIM1; k=rsa; h=sha1; t=s; n=x; p={KEY}"], "; t=s; n=x; p=", "leaves out h=sha1."),
        ([f"v=DKIM1; k=rsa; s=tlsrpt; t=s; p={KEY}"], "; t=s; p=", "leaves out s=tlsrpt."),
        ([f"v=DKIM1; k=rsa; t=s; p={KEY[:100]}"], "; t=s; p=", ""),
        ([f"v=DKIM1 k=rsa t=s p={KEY}"], "; t=s; p=", ""),
        # What was said of another key need not hold for this one.
        ([f"v=DKIM1; k=rsa; t=s; p={OTHER_KEY}"], "k=rsa; p=", "leaves out t=s."),
        # One that is taken away is missed where the other does not say the same.
        ([f"v=DKIM1; t=s; p={KEY}", f"v=DKIM1; n=x; p={OTHER_KEY}"], "", "leaves out n=x."),
        ([f"k=rsa; t=s; p={KEY}", f"v=DKIM1; t=s; n=x; p={KEY}"], "", ""),
        # Of two records of the key that stays which refuses least.
        ([f"v=DKIM1; n=x; p={KEY}", f"v=DKIM1; t=s; p={KEY}"], "", "leaves out t=s."),
    ],
)
def test_a_fix_keeps_what_a_key_record_says_besides_the_key(
    texts: list[str], offered: str, said: str
) -> None:
    root, _ = diagnosed(case_of("dkim-s1", {S1: texts}))
    assert root.cause is not None
    assert root.cause.fix is not None
    assert offered in root.cause.fix.value
    assert not offered or KEY in root.cause.fix.value
    assert said in root.message if said else "leaves out" not in root.message
