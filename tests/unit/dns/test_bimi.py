# SPDX-License-Identifier: Apache-2.0
"""BIMI records: known, compared, written, and the policies under which no logo is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns import bimi, dmarc
from postroom.dns.answers import Answer, Outcome, Question, RecordType


@given(st.text(max_size=60), st.text(max_size=60))
def test_comparing_addresses_is_symmetric(one: str, other: str) -> None:
    assert bimi.same_location(one, one)
    assert bimi.same_location(one, other) is bimi.same_location(other, one)


@pytest.mark.parametrize(
    ("text", "sound", "meant"),
    [
        ("v=BIMI1; l=https://x.net/l.svg", True, True),
        ("v = BIMI1", True, True),
        ("v=BIMI10; l=", False, True),
        ("v=bimi1; l=", False, True),
        ("l=; v=BIMI1", False, True),
        ("'BIMI1; l=", False, True),
        ("l=https://x.net/bimi.svg", False, False),
        ("v=DMARC1; p=none", False, False),
    ],
)
def test_what_is_a_record_and_what_was_meant_as_one(text: str, sound: bool, meant: bool) -> None:
    assert (bimi.is_record(text), bimi.looks_like_record(text)) == (sound, meant)


@pytest.mark.parametrize(
    ("tags", "declined"),
    [
        ({"l": ""}, True),
        ({"l": "", "a": ""}, True),
        ({"l": "", "a": "https://x.net/a.pem"}, False),
        ({"l": "https://x.net/l.svg"}, False),
        ({"a": ""}, False),
    ],
)
def test_only_empty_locations_decline(tags: dict[str, str], declined: bool) -> None:
    assert bimi.declines(tags) is declined


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://X.net/L.svg", "HTTPS://x.NET/L.svg", True),
        ("https://x.net/L.svg", "https://x.net/l.svg", False),
        ("https://x.net/l.svg?v=1", "https://x.net/l.svg?v=2", False),
        ("https://x.net/l.svg", "http://x.net/l.svg", False),
        ("https://[x", "https://[x", True),
        ("https://[x", "https://[y", False),
    ],
)
def test_where_case_matters(one: str, other: str, same: bool) -> None:
    assert bimi.same_location(one, other) is same


LOGO, MARK = "https://x.net/l.svg", "https://x.net/a.pem"
BOTH = f"v=BIMI1; l={LOGO}; a={MARK}"


@pytest.mark.parametrize(
    ("there", "certificate", "made"),
    [
        ([], None, f"v=BIMI1; l={LOGO}"),
        ([], MARK, f"v=BIMI1; l={LOGO}; a={MARK}"),
        # A certificate that nobody asked for stays, and so does what else is there.
        ([f"v=BIMI1; a={MARK}; l=old; avp=brand"], None, f"v=BIMI1; l={LOGO}; a={MARK}; avp=brand"),
        (["v=BIMI1; l=old; a=old"], MARK, f"v=BIMI1; l={LOGO}; a={MARK}"),
        (["v=BIMI1; l=old; a="], None, f"v=BIMI1; l={LOGO}"),
        # Which of several cannot be told.
        ([f"v=BIMI1; a={MARK}", "v=BIMI1; avp=x"], None, f"v=BIMI1; l={LOGO}"),
        # What nobody can read keeps what it was plainly meant to say.
        (["v=bimi1; avp=brand"], None, f"v=BIMI1; l={LOGO}; avp=brand"),
        ([f"v=BIMI1, l={LOGO}, a={MARK}"], None, f"v=BIMI1; l={LOGO}; a={MARK}"),
        ([f'"l={LOGO}; a={MARK}; avp=brand; v=BIMI1"'], MARK, f"{BOTH}; avp=brand"),
        ([f"v:BIMI1; a: {MARK}; l:x; avp=\u00fc"], None, f"v=BIMI1; l={LOGO}; a={MARK}"),
    ],
)
def test_a_record_keeps_what_else_one_said(
    there: list[str], certificate: str | None, made: str
) -> None:
    assert bimi.record_for(there, LOGO, certificate) == made


@pytest.mark.parametrize(
    ("there", "named"),
    [
        ([f"v=BIMI1; l=old; a={MARK}; avp=brand"], ()),
        ([f"v=BIMI1; l=old; a={MARK}", "v=BIMI1; l=old; avp=x"], (f"a={MARK}", "avp=x")),
        ([f"v=BIMI1 l=old a={MARK}"], ()),
    ],
)
def test_what_a_record_loses_is_named(there: list[str], named: tuple[str, ...]) -> None:
    said = bimi.left_out(there, bimi.record_for(there, LOGO, None))
    assert bool(said) is bool(named)
    assert all(tag in said for tag in named)


def problem(domain: str, records: dict[str, str]) -> str | None:
    answers = {}
    for name in dmarc.walk_names(domain):
        texts = [text for owner, text in records.items() if name == f"_dmarc.{owner}"]
        outcome = Outcome.FOUND if texts else Outcome.NX_DOMAIN
        answers[name] = Answer(Question(name, RecordType.TXT), outcome, tuple(texts))
    said = bimi.policy_problem(dmarc.discover(domain, answers))
    return None if said is None else said[0]


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ("p=reject", None),
        ("p=quarantine", None),
        ("p=quarantine; pct=100", None),
        ("p=reject; pct=50", None),
        ("p=quarantine; pct=x", None),
        ("p=quarantine; sp=quarantine; np=none", None),
        ("p=none", "its DMARC policy is none"),
        ("p=reject; t=y", "its DMARC record is in test mode (t=y)"),
        ("p=quarantine; pct=99", "its DMARC record says pct=99"),
        ("p=quarantine; pct=0", "its DMARC record says pct=0"),
        ("p=reject; sp=none", "the DMARC policy for subdomains is none (sp=none)"),
    ],
)
def test_under_which_policies_a_logo_is_shown(tags: str, said: str | None) -> None:
    found = problem("example.com", {"example.com": f"v=DMARC1; {tags}"})
    assert found is None if said is None else (found or "").startswith(said)


def test_the_policy_for_subdomains_counts_where_it_is_published() -> None:
    above = {"example.com": "v=DMARC1; p=reject; sp=none"}
    own = {"send.example.com": "v=DMARC1; p=reject"}
    assert problem("send.example.com", above) == "its DMARC policy is none"
    assert problem("send.example.com", {**above, **own}) is None
    assert problem("example.com", {}) == "no DMARC policy applies to it"
