# SPDX-License-Identifier: Apache-2.0
"""DANE: TLSA records, whether senders use them, and whether DNSSEC protects what must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.tls import tlsa
from unit.dns.judging_looks import DOMAIN, Key, Names, advice, plan_of, verdict

HOST = "mx.example.net"
TLSA: Key = (f"_25._tcp.{HOST}", "TLSA")
ID = f"dane-{HOST}"
DIGEST = "ab" * 32
PLAN = plan_of(mx=[{"host": HOST}], dane={})
HEALTHY: dict[Key, list[str]] = {
    TLSA: [f"3 1 1 {DIGEST}"],
    (HOST, "A"): ["192.0.2.1"],
    (DOMAIN, "MX"): [f"10 {HOST}"],
}


@pytest.mark.parametrize(
    "value",
    [
        f"3 1 1 {DIGEST}",
        f"3 1 1 {DIGEST[:56]} {DIGEST[56:].upper()}",
        f"2 0 2 {DIGEST}{DIGEST}",
        f"3 0 0 {'30' * 500}",
    ],
)
def test_a_usable_record_is_valid(value: str) -> None:
    judged = Names({**HEALTHY, TLSA: [value]}).judged(PLAN, ID)
    assert (verdict(judged), advice(judged)) == (("Valid", None), [])


@pytest.mark.parametrize(
    "value",
    [
        f"0 1 1 {DIGEST}",
        f"1 1 1 {DIGEST}",
        f"255 1 1 {DIGEST}",
        f"3 2 1 {DIGEST}",
        f"3 1 3 {DIGEST}",
        f"3 1 1 {DIGEST[:-2]}",
        f"3 1 2 {DIGEST}",
        f"3 1 1 {DIGEST[:-1]}g",
        "3 1 0 30",
        "3 1 1",
        "3 1 1 ",
        f"three 1 1 {DIGEST}",
        f"-3 1 1 {DIGEST}",
        "",
    ],
)
def test_a_record_that_senders_do_not_use(value: str) -> None:
    judged = Names({**HEALTHY, TLSA: [value]}).judged(PLAN, ID)
    assert verdict(judged) == ("Wrong", "DANE_UNUSABLE")
    judged = Names({**HEALTHY, TLSA: [value, f"3 1 1 {DIGEST}"]}).judged(PLAN, ID)
    assert (verdict(judged), advice(judged)) == (("Valid", None), ["DANE_RECORD_UNUSED"])


def test_none_is_told_with_what_to_publish() -> None:
    judged = Names({**HEALTHY, TLSA: []}).judged(PLAN, ID)
    assert verdict(judged) == ("Missing", "DANE_MISSING")
    assert "3 1 1" in judged.message


def test_the_port_is_that_of_the_spec() -> None:
    plan = plan_of(mx=[{"host": HOST}], dane={"port": 2525})
    seen = Names({**HEALTHY, TLSA: [], (f"_2525._tcp.{HOST}", "TLSA"): [f"3 1 1 {DIGEST}"]})
    assert verdict(seen.judged(plan, ID)) == ("Valid", None)


@pytest.mark.parametrize(
    ("signed", "state", "code"),
    [
        (("com", "net"), "Valid", None),
        ((DOMAIN, "net"), "Valid", None),
        (("net",), "Wrong", "DANE_MX_NOT_SIGNED"),
        (("com",), "Unknown", "DANE_NOT_VALIDATED"),
        ((), "Unknown", "DANE_NOT_VALIDATED"),
    ],
)
def test_both_zones_must_be_signed(signed: tuple[str, ...], state: str, code: str | None) -> None:
    assert verdict(Names(HEALTHY, signed).judged(PLAN, ID)) == (state, code)


def test_a_zone_below_a_signed_one_need_not_be() -> None:
    class Registry(Names):
        """Answers about the top-level domain are validated, those below are not."""

        def answer(self, question: Question, *, authenticated: bool) -> Answer:
            secure = authenticated and question.type is RecordType.DS
            return super().answer(question, authenticated=secure)

    assert verdict(Registry(HEALTHY).judged(PLAN, ID)) == ("Wrong", "DANE_NOT_SIGNED")


class Signed(Names):
    """Answers that end in a zone that is not signed are not authenticated, wherever they begin."""

    def answer(self, question: Question, *, authenticated: bool) -> Answer:
        answer = super().answer(question, authenticated=authenticated)
        end = answer.aliases[-1] if answer.aliases else question.name
        secure = answer.authenticated and not end.endswith(".unsigned.net")
        return replace(answer, authenticated=secure)


def behind_an_alias(at: str) -> dict[Key, list[str]]:
    """The records alone stand in another zone."""
    there = f"_dane.{at}"
    return {TLSA: [], (TLSA[0], "CNAME"): [there], (there, "TLSA"): [f"3 1 1 {DIGEST}"]}


def at_the_real_host(at: str) -> dict[Key, list[str]]:
    """The host itself is an alias."""
    real: dict[Key, list[str]] = {
        (f"mx.{at}", "A"): ["192.0.2.1"],
        (f"_25._tcp.mx.{at}", "TLSA"): [f"3 1 1 {DIGEST}"],
    }
    return {TLSA: [], (HOST, "A"): [], (HOST, "CNAME"): [f"mx.{at}"], **real}


@pytest.mark.parametrize("shape", [behind_an_alias, at_the_real_host])
def test_the_zone_with_the_records_themselves_must_be_signed(
    shape: Callable[[str], dict[Key, list[str]]],
) -> None:
    """RFC 7671 section 7: they may stand in another zone than the addresses of the host."""
    judged = Signed({**HEALTHY, **shape("unsigned.net")}).judged(PLAN, ID)
    assert verdict(judged) == ("Wrong", "DANE_NOT_SIGNED")
    judged = Signed({**HEALTHY, **shape("signed.net")}).judged(PLAN, ID)
    assert verdict(judged) == ("Valid", None)


def test_where_an_alias_leads_is_told() -> None:
    judged = Signed({**HEALTHY, **behind_an_alias("unsigned.net")}).judged(PLAN, ID)
    assert "_dane.unsigned.net" in judged.message


def test_a_name_below_the_host_may_be_delegated_to_a_zone_that_is_not_signed() -> None:
    class Delegated(Names):
        """The addresses are in a signed zone, the records in one below it that is not."""

        def answer(self, question: Question, *, authenticated: bool) -> Answer:
            secure = authenticated and not question.name.startswith("_25._tcp.")
            return super().answer(question, authenticated=secure)

    assert verdict(Delegated(HEALTHY).judged(PLAN, ID)) == ("Wrong", "DANE_NOT_SIGNED")


def test_where_nothing_stands_yet_the_resolver_is_not_asked_for_the_name() -> None:
    names = Names({**HEALTHY, TLSA: []})
    names.judged(PLAN, ID)
    assert {each.type.value for each in names.asked if each.name == TLSA[0]} == {"TLSA"}


@pytest.mark.parametrize("place", [(HOST, "A"), (DOMAIN, "SOA"), (TLSA[0], "SOA")])
def test_what_could_not_be_looked_at_is_unknown(place: Key) -> None:
    seen = Names(HEALTHY, failing={place: Outcome.SERVER_FAILURE})
    assert verdict(seen.judged(PLAN, ID)) == ("Unknown", "LOOKUP_FAILED")


def test_an_alias_is_followed_and_told() -> None:
    change: dict[Key, list[str]] = {
        TLSA: [],
        (HOST, "A"): [],
        (HOST, "CNAME"): ["real.example.net"],
        ("real.example.net", "A"): ["192.0.2.1"],
        ("_25._tcp.real.example.net", "TLSA"): [f"3 1 1 {DIGEST}"],
    }
    seen = Names({**HEALTHY, **change})
    judged = seen.judged(PLAN, ID)
    assert (verdict(judged), advice(judged)) == (("Valid", None), ["DANE_ALIAS"])
    seen.failing["_25._tcp.real.example.net", "TLSA"] = Outcome.TIMEOUT
    assert verdict(seen.judged(PLAN, ID)) == ("Unknown", "LOOKUP_FAILED")


_NUMBERS = st.integers(-1, 300).map(str)
_DATA = st.text(st.sampled_from("0123456789abcdefABCDEF g"), max_size=140)


@given(
    st.one_of(st.text(max_size=80), st.tuples(_NUMBERS, _NUMBERS, _NUMBERS, _DATA).map(" ".join))
)
def test_no_text_breaks_the_parser(value: str) -> None:
    found = tlsa.parse(value)
    if found.problem is None:
        assert (found.usage in (2, 3), found.selector in (0, 1)) == (True, True)
        assert tlsa.parse(f"{found.usage} {found.selector} {found.matching} {found.data}") == found


def test_absurd_data_is_bounded() -> None:
    assert tlsa.parse(f"3 1 1 {'ab' * 60_000}").problem is not None
    assert tlsa.parse(" ".join("3" * 60_000)).problem is not None
