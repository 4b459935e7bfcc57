# SPDX-License-Identifier: Apache-2.0
"""BIMI: the record, every fault with its fix, and the DMARC policy that it takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.findings import FixAction
from postroom.dns.answers import Outcome
from unit.dns.judging_looks import DOMAIN, Key, Names, advice, plan_of, verdict

TXT: Key = (f"default._bimi.{DOMAIN}", "TXT")


DMARC: Key = (f"_dmarc.{DOMAIN}", "TXT")


LOGO, MARK = "https://example.com/logo.svg", "https://example.com/mark.pem"


SPEC: dict[str, Any] = {"bimi": {"logo": LOGO, "certificate": MARK}}


RECORD = f"v=BIMI1; l={LOGO}; a={MARK}"


PLAN, WITHOUT_MARK = plan_of(**SPEC), plan_of(bimi={"logo": LOGO})


HEALTHY: dict[Key, list[str]] = {TXT: [RECORD], DMARC: ["v=DMARC1; p=quarantine"]}


@pytest.mark.parametrize(
    "text",
    [
        RECORD,
        f"v = BIMI1 ;l={LOGO};a={MARK};",
        f"v=BIMI1; a={MARK}; avp=brand; l=HTTPS://Example.com/logo.svg",
    ],
)
def test_a_record_with_logo_and_certificate_is_valid(text: str) -> None:
    judged = Names({**HEALTHY, TXT: [text]}).judged(PLAN, "bimi")
    assert (verdict(judged), judged.value) == (("Valid", None), text)


def test_a_certificate_that_is_not_asked_for_does_no_harm() -> None:
    assert verdict(Names(HEALTHY).judged(WITHOUT_MARK, "bimi")) == ("Valid", None)


FAULTS = [
    ("missing", [], "Missing", "BIMI_MISSING"),
    ("two", [RECORD, f"v=BIMI1; l={LOGO}"], "Conflicting", "BIMI_MULTIPLE"),
    ("version", [f"v=BIMI2; l={LOGO}"], "Wrong", "BIMI_SYNTAX"),
    ("case", [f"v=bimi1; l={LOGO}"], "Wrong", "BIMI_SYNTAX"),
    ("version not first", [f"l={LOGO}; v=BIMI1"], "Wrong", "BIMI_SYNTAX"),
    ("no list", [f"v=BIMI1; l={LOGO}, a={MARK}; x"], "Wrong", "BIMI_SYNTAX"),
    ("declined", ["v=BIMI1; l=; a=;"], "Wrong", "BIMI_DECLINED"),
    (
        "other logo",
        [f"v=BIMI1; l=https://example.com/Logo.svg; a={MARK}"],
        "Wrong",
        "BIMI_LOGO_OTHER",
    ),
    ("no logo", [f"v=BIMI1; a={MARK}"], "Wrong", "BIMI_LOGO_OTHER"),
    ("no address", [f"v=BIMI1; l=https://[; a={MARK}"], "Wrong", "BIMI_LOGO_OTHER"),
    ("no certificate", [f"v=BIMI1; l={LOGO}"], "Wrong", "BIMI_CERTIFICATE_OTHER"),
    ("other certificate", [f"v=BIMI1; l={LOGO}; a={LOGO}"], "Wrong", "BIMI_CERTIFICATE_OTHER"),
]


@pytest.mark.parametrize(
    ("texts", "state", "code"), [one[1:] for one in FAULTS], ids=[one[0] for one in FAULTS]
)
def test_a_fault_is_named_and_its_fix_works(texts: list[str], state: str, code: str) -> None:
    seen = Names({**HEALTHY, TXT: texts})
    judged = seen.judged(PLAN, "bimi")
    assert verdict(judged) == (state, code)
    assert judged.cause is not None
    assert judged.cause.fix is not None
    seen.apply(judged.cause.fix)
    assert verdict(seen.judged(PLAN, "bimi")) == ("Valid", None)


def test_the_fix_keeps_what_else_the_record_says() -> None:
    text = f"v=BIMI1; l=https://old.example/x.svg; avp=brand; a={MARK}"
    judged = Names({**HEALTHY, TXT: [text]}).judged(WITHOUT_MARK, "bimi")
    assert judged.value == f"v=BIMI1; l={LOGO}; a={MARK}; avp=brand"


POLICIES = [
    ("none there", [], False),
    ("none", ["v=DMARC1; p=none"], False),
    ("two", ["v=DMARC1; p=reject", "v=DMARC1; p=reject; np=reject"], False),
    ("test mode", ["v=DMARC1; p=reject; t=y"], False),
    ("part of the mail", ["v=DMARC1; p=quarantine; pct=50"], False),
    ("subdomains free", ["v=DMARC1; p=reject; sp=none"], False),
    ("all of the mail", ["v=DMARC1; p=quarantine; pct=100"], True),
    ("reject in part is quarantine", ["v=DMARC1; p=reject; pct=50"], True),
    ("subdomains too", ["v=DMARC1; p=reject; sp=quarantine"], True),
]


@pytest.mark.parametrize(
    ("texts", "shown"), [one[1:] for one in POLICIES], ids=[one[0] for one in POLICIES]
)
def test_the_policy_must_be_strict(texts: list[str], shown: bool) -> None:
    judged = Names({**HEALTHY, DMARC: texts}).judged(PLAN, "bimi")
    assert verdict(judged) == (("Valid", None) if shown else ("Wrong", "BIMI_DMARC_WEAK"))


@pytest.mark.parametrize(
    ("text", "todo", "never"),
    [
        ("v=DMARC1; p=none", "quarantine or reject", "pct"),
        ("v=DMARC1; p=quarantine; pct=50", "Take pct=50 out", "Make the DMARC policy"),
        ("v=DMARC1; p=quarantine; pct=0", "Take pct=0 out", "Make the DMARC policy"),
        ("v=DMARC1; p=reject; t=y", "Take t=y out", "Make the DMARC policy"),
        ("v=DMARC1; p=reject; sp=none", "Make sp=", "Make the DMARC policy"),
    ],
)
def test_what_is_to_be_done_is_what_is_wrong(text: str, todo: str, never: str) -> None:
    message = Names({**HEALTHY, DMARC: [text]}).judged(PLAN, "bimi").message
    assert todo in message
    assert never not in message


@pytest.mark.parametrize("value", ["100", "1000", "x", "-5", ""])
def test_a_pct_that_is_not_below_100_hides_no_logo(value: str) -> None:
    seen = Names({**HEALTHY, DMARC: [f"v=DMARC1; p=quarantine; pct={value}"]})
    assert verdict(seen.judged(PLAN, "bimi")) == ("Valid", None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("v=DMARC1; p=reject", True),
        ("v=DMARC1; p=none; sp=reject", True),
        ("v=DMARC1; p=reject; sp=none", False),
        ("v=DMARC1; p=none", False),
    ],
)
def test_the_policy_may_come_from_the_parent(text: str, shown: bool) -> None:
    plan = plan_of(**SPEC, domain=f"news.{DOMAIN}")
    seen = Names({(f"default._bimi.news.{DOMAIN}", "TXT"): [RECORD], DMARC: [text]})
    judged = seen.judged(plan, "bimi")
    assert verdict(judged) == (("Valid", None) if shown else ("Wrong", "BIMI_DMARC_WEAK"))
    assert shown or f"_dmarc.{DOMAIN}" in judged.message


ORGANISATION: Key = TXT


NEWS = f"news.{DOMAIN}"


OWN: Key = (f"default._bimi.{NEWS}", "TXT")


ENFORCING: dict[Key, list[str]] = {DMARC: ["v=DMARC1; p=reject"]}


@pytest.mark.parametrize(
    ("records", "wanted", "told"),
    [
        ({ORGANISATION: [RECORD]}, ("Valid", None), ["BIMI_INHERITED"]),
        ({ORGANISATION: [RECORD, "other"], OWN: ["other"]}, ("Valid", None), ["BIMI_INHERITED"]),
        ({ORGANISATION: [RECORD], DMARC: ["v=DMARC1; p=none"]}, ("Wrong", "BIMI_DMARC_WEAK"), []),
        ({ORGANISATION: ["v=BIMI1; l=https://a.example/b.svg"]}, ("Missing", "BIMI_MISSING"), []),
        ({ORGANISATION: [RECORD, RECORD + ";"]}, ("Missing", "BIMI_MISSING"), []),
        ({}, ("Missing", "BIMI_MISSING"), []),
        # What stands at the domain itself goes before it, whatever it says.
        ({ORGANISATION: [RECORD], OWN: ["v=BIMI1; l=; a="]}, ("Wrong", "BIMI_DECLINED"), []),
        ({ORGANISATION: [RECORD], OWN: ["v=bimi1; l=x"]}, ("Wrong", "BIMI_SYNTAX"), []),
    ],
)
def test_the_organisation_s_logo_counts_for_a_subdomain(
    records: dict[Key, list[str]], wanted: tuple[str, str | None], told: list[str]
) -> None:
    plan = plan_of(**SPEC, domain=NEWS)
    seen = Names({**ENFORCING, **records})
    judged = seen.judged(plan, "bimi")
    assert (verdict(judged), advice(judged)) == (wanted, told)
    fix = judged.cause.fix if judged.cause is not None else None
    if fix is not None and fix.action is not FixAction.EXTERNAL:
        seen.apply(fix)
        assert verdict(seen.judged(plan, "bimi")) == ("Valid", None)


@pytest.mark.parametrize("place", [ORGANISATION, DMARC, (f"_dmarc.{NEWS}", "TXT")])
def test_a_logo_of_the_organisation_that_could_not_be_seen_is_unknown(place: Key) -> None:
    seen = Names({**ENFORCING, ORGANISATION: [RECORD]}, failing={place: Outcome.TIMEOUT})
    judged = seen.judged(plan_of(**SPEC, domain=NEWS), "bimi")
    assert verdict(judged) == ("Unknown", "LOOKUP_FAILED")


def test_a_policy_that_could_not_be_seen_is_unknown() -> None:
    seen = Names(HEALTHY, failing={DMARC: Outcome.TIMEOUT})
    assert verdict(seen.judged(PLAN, "bimi")) == ("Unknown", "LOOKUP_FAILED")


_PIECES = st.sampled_from(["v=BIMI1", ";", "l=", "a=", LOGO, MARK, " ", "avp=brand", "[", "\x00"])


@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=30).map("".join)))
def test_no_text_breaks_the_judge(text: str) -> None:
    seen = Names({**HEALTHY, TXT: [text]})
    judged = seen.judged(PLAN, "bimi")
    if judged.cause is not None and judged.cause.fix is not None:
        seen.apply(judged.cause.fix)
        assert verdict(seen.judged(PLAN, "bimi")) == ("Valid", None)
