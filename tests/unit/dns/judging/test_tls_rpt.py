# SPDX-License-Identifier: Apache-2.0
"""TLS-RPT: records, report addresses, every fault with its fix, hostile texts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.tls import tls_rpt
from unit.dns.judging_looks import DOMAIN, Key, Names, plan_of, verdict

TXT: Key = (f"_smtp._tls.{DOMAIN}", "TXT")
MAIL, WEB = "mailto:tls@example.com", "https://reports.example.net/v1/Tls"
SPEC: dict[str, Any] = {"tlsRPT": {"rua": [MAIL, WEB]}}
PLAN = plan_of(**SPEC)

VALID = [
    f"v=TLSRPTv1; rua={MAIL},{WEB}",
    f"v=TLSRPTv1;rua={WEB} , {MAIL};",
    f"v=TLSRPTv1; rua=mailto:TLS@Example.com,HTTPS://Reports.example.net/v1/Tls,{MAIL}",
    f"v=TLSRPTv1; rua=mailto:other@example.org,{MAIL},{WEB}; future=1",
    f"v=TLSRPTv1; rua={MAIL},{WEB},ftp://old.example.org/",
    f"v=TLSRPTv1; rua={MAIL}; rua={WEB}",
    f"v=TLSRPTv1 \t;\t rua={WEB}\t;  x-1=a ; rua={MAIL} ; ",
]
FAULTS = [
    ("missing", [], "Missing", "TLS_RPT_MISSING"),
    ("another", ["v=spf1 -all"], "Missing", "TLS_RPT_MISSING"),
    ("two", [VALID[0], VALID[1]], "Conflicting", "TLS_RPT_MULTIPLE"),
    ("version", [f"v=TLSRPT1; rua={MAIL}"], "Wrong", "TLS_RPT_SYNTAX"),
    ("case", [f"v=tlsrptv1; rua={MAIL}"], "Wrong", "TLS_RPT_SYNTAX"),
    ("version not first", [f"rua={MAIL}; v=TLSRPTv1"], "Wrong", "TLS_RPT_SYNTAX"),
    ("no address", ["v=TLSRPTv1;"], "Wrong", "TLS_RPT_SYNTAX"),
    ("empty address", ["v=TLSRPTv1; rua="], "Wrong", "TLS_RPT_SYNTAX"),
    ("no mailto", [f"v=TLSRPTv1; rua={MAIL},tls@example.org"], "Wrong", "TLS_RPT_SYNTAX"),
    ("space", [f"v=TLSRPTv1; rua={MAIL} {WEB}"], "Wrong", "TLS_RPT_SYNTAX"),
    ("plain http", ["v=TLSRPTv1; rua=http://example.com/"], "Wrong", "TLS_RPT_SYNTAX"),
    ("comma for semicolon", [f"v=TLSRPTv1;, rua={MAIL}"], "Wrong", "TLS_RPT_SYNTAX"),
    ("blank before =", [f"v=TLSRPTv1; rua ={MAIL},{WEB}"], "Wrong", "TLS_RPT_SYNTAX"),
    ("blank behind =", [f"v=TLSRPTv1; rua= {MAIL},{WEB}"], "Wrong", "TLS_RPT_SYNTAX"),
    ("tab around =", [f"v=TLSRPTv1; rua\t=\t{MAIL},{WEB}"], "Wrong", "TLS_RPT_SYNTAX"),
    ("blank in the version", [f"v =TLSRPTv1; rua={MAIL},{WEB}"], "Wrong", "TLS_RPT_SYNTAX"),
    ("blank elsewhere", [f"v=TLSRPTv1; rua={MAIL},{WEB}; x = 1"], "Wrong", "TLS_RPT_SYNTAX"),
    ("blank at the end", [f"v=TLSRPTv1; rua={MAIL},{WEB} "], "Wrong", "TLS_RPT_SYNTAX"),
    ("case of rua", [f"v=TLSRPTv1; RUA={MAIL},{WEB}"], "Wrong", "TLS_RPT_SYNTAX"),
    ("comma at the end", [f"v=TLSRPTv1; rua={MAIL},{WEB},"], "Wrong", "TLS_RPT_SYNTAX"),
    ("two commas", [f"v=TLSRPTv1; rua={MAIL},,{WEB}"], "Wrong", "TLS_RPT_SYNTAX"),
    ("empty field", [f"v=TLSRPTv1; rua={MAIL},{WEB}; x="], "Wrong", "TLS_RPT_SYNTAX"),
    ("twice, one absent", [f"v=TLSRPTv1; rua={MAIL}; rua=x:y"], "Wrong", "TLS_RPT_RUA_MISSING"),
    ("one absent", [f"v=TLSRPTv1; rua={MAIL}"], "Wrong", "TLS_RPT_RUA_MISSING"),
    ("other path", [f"v=TLSRPTv1; rua={MAIL},{WEB.lower()}"], "Wrong", "TLS_RPT_RUA_MISSING"),
]


@pytest.mark.parametrize("text", VALID)
def test_a_record_with_every_address_is_valid(text: str) -> None:
    judged = Names({TXT: [text, "other"]}).judged(PLAN, "tls-rpt")
    assert (verdict(judged), judged.value) == (("Valid", None), text)


@pytest.mark.parametrize(
    ("texts", "state", "code"), [one[1:] for one in FAULTS], ids=[one[0] for one in FAULTS]
)
def test_a_fault_is_named_and_its_fix_works(texts: list[str], state: str, code: str) -> None:
    seen = Names({TXT: texts})
    judged = seen.judged(PLAN, "tls-rpt")
    assert verdict(judged) == (state, code)
    assert judged.cause is not None
    assert judged.cause.fix is not None
    seen.apply(judged.cause.fix)
    assert verdict(seen.judged(PLAN, "tls-rpt")) == ("Valid", None)


def test_the_fix_keeps_the_addresses_that_are_there() -> None:
    texts = ["v=TLSRPTv1; rua=mailto:a@example.org", "v=TLSRPTv1; rua=mailto:b@example.org"]
    judged = Names({TXT: texts}).judged(PLAN, "tls-rpt")
    assert judged.value == (
        f"v=TLSRPTv1; rua=mailto:a@example.org,mailto:b@example.org,{MAIL},{WEB}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "v=TLSRPTv1; rua = mailto:a@example.org",
        "v=TLSRPTv1; rua=mailto:a@example.org; rua =mailto:b@example.org",
        "v=TLSRPTv1; rua=mailto:a@example.org,; rua=mailto:b@example.org",
    ],
)
def test_the_fix_keeps_what_a_broken_record_meant(text: str) -> None:
    value = Names({TXT: [text]}).judged(PLAN, "tls-rpt").value
    assert value is not None
    assert all(one in value for one in ("a", "b") if f"mailto:{one}@example.org" in text)
    assert "mailto:a@example.org" in value


def test_a_record_that_cannot_be_kept_is_begun_anew() -> None:
    uris = ",".join(f"mailto:{'a' * 90}{number}@example.org" for number in range(50))
    judged = Names({TXT: [f"v=TLSRPTv1; rua={uris}"]}).judged(PLAN, "tls-rpt")
    assert judged.value == VALID[0]


def test_too_many_addresses_are_a_fault() -> None:
    uris = ",".join(f"mailto:{number}@example.org" for number in range(51))
    text = f"v=TLSRPTv1; rua={MAIL},{WEB},{uris}"
    assert verdict(Names({TXT: [text]}).judged(PLAN, "tls-rpt")) == ("Wrong", "TLS_RPT_SYNTAX")


_PIECES = st.sampled_from(
    ["v=TLSRPTv1", ";", "rua", "=", ",", "mailto:", "https://", "a@b", "/", "!", " ", "\x00", "ü"]
)


@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=40).map("".join)))
def test_no_text_breaks_the_parser(text: str) -> None:
    tls_rpt.looks_like_record(text)
    found = tls_rpt.destinations(text)
    assert all("," not in one and " " not in one for one in found)
    if tls_rpt.is_record(text):
        assert tls_rpt.record_problem(text) is not None or found


_LOCAL = st.from_regex(r"[a-z0-9.]{1,10}", fullmatch=True)
_URIS = st.one_of(
    _LOCAL.map(lambda one: f"mailto:{one}@example.com"),
    _LOCAL.map(lambda one: f"https://example.com/{one}"),
)


@given(st.lists(_URIS, max_size=5), st.lists(_URIS, min_size=1, max_size=5))
def test_what_is_written_is_read_and_lacks_nothing(there: list[str], wanted: list[str]) -> None:
    text = tls_rpt.record_for(there, wanted)
    assert tls_rpt.record_problem(text) is None
    found = tls_rpt.destinations(text)
    assert tls_rpt.missing_from(found, [*there, *wanted]) == ()
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("text", ["v=TLSRPTv1;" + "rua=a:b," * 8000, "v" * 65_000, "," * 65_000])
def test_absurd_texts_are_bounded(text: str) -> None:
    assert len(tls_rpt.destinations(text)) <= 50
    assert not tls_rpt.is_record(text) or tls_rpt.record_problem(text)
