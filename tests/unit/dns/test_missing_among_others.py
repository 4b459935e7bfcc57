# SPDX-License-Identifier: Apache-2.0
"""What is said where a record is missing: nothing is there, or what is there is of other kinds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unit.dns.domains import RSA
from unit.dns.judging_looks import DOMAIN, Key, Names, plan_of, verdict

SPEC: dict[str, Any] = {
    "ownership": {"value": "provider-verification=0123456789abcdef"},
    "dkim": [{"selector": "s1", "publicKey": RSA}],
    "spf": {"ip4": ["192.0.2.7"]},
    "dmarc": {"policy": "none"},
    "tlsRPT": {"rua": ["mailto:tls@example.com"]},
    "mtaSTS": {"mode": "Testing"},
    "bimi": {"logo": "https://example.com/logo.svg"},
}
PLAN = plan_of(**SPEC)
RECORDS = [
    ("ownership", DOMAIN, "ownership record with the required value"),
    ("dkim-s1", f"s1._domainkey.{DOMAIN}", "DKIM key record"),
    ("spf", DOMAIN, "SPF record"),
    ("dmarc", f"_dmarc.{DOMAIN}", "DMARC record"),
    ("tls-rpt", f"_smtp._tls.{DOMAIN}", "TLS-RPT record"),
    ("mta-sts", f"_mta-sts.{DOMAIN}", "MTA-STS record"),
    ("bimi", f"default._bimi.{DOMAIN}", "BIMI record"),
]


@pytest.mark.parametrize(("id", "name", "kind"), RECORDS)
@pytest.mark.parametrize("others", [[], ["other-site=1"], ["other-site=1", "hello, world"]])
def test_what_is_missing_is_named_by_its_kind_where_others_are(
    id: str, name: str, kind: str, others: list[str]
) -> None:
    judged = Names({(name, "TXT"): others}).judged(PLAN, id)
    assert judged.state.value == "Missing"
    beginning = f"There is no TXT at {name}."
    if others:
        beginning = f"There is no {kind} among the TXT records at {name}."
    assert judged.message.startswith(beginning), judged.message


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)))
def test_nothing_is_said_to_be_absent_that_is_there(texts: list[str]) -> None:
    for id, name, _ in RECORDS:
        judged = Names({(name, "TXT"): texts}).judged(PLAN, id)
        if texts:
            assert f"no TXT at {name}" not in judged.message


TOKEN = "0123456789abcdef"
APEX: Key = (DOMAIN, "TXT")


@pytest.mark.parametrize(
    ("value", "gone"),
    [
        (TOKEN, True),
        (TOKEN.upper(), True),
        (f"provider_verification={TOKEN}", True),
        (f"provider-verification:{TOKEN}", True),
        (f"provider-verification = {TOKEN}", True),
        (f"PROVIDER-VERIFICATION={TOKEN}", True),
        (f"TXT provider-verification={TOKEN}", True),
        ("provider-verification=fedcba9876543210", False),
        ("Provider-Verification=fedcba9876543210", False),
        ("provider-verification:fedcba9876543210", False),
        ("provider-verification=", False),
        ('"provider-verification=fedcba9876543210"', False),
    ],
)
def test_a_token_that_is_not_the_required_one_is_a_mismatch(value: str, gone: bool) -> None:
    seen = Names({APEX: ["v=spf1 -all", value]})
    judged = seen.judged(PLAN, "ownership")
    assert verdict(judged) == ("Wrong", "OWNERSHIP_MISMATCH")
    assert judged.observed == (value,)
    assert judged.cause is not None
    fix = judged.cause.fix
    assert fix is not None
    assert [one.value for one in fix.remove] == ([value] if gone else [])
    seen.apply(fix)
    assert verdict(seen.judged(PLAN, "ownership")) == ("Valid", None)


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ("MS=ms12345678", "ms12345678"),
        ("brevo-code:0123456789abcdef", "0123456789abcdef"),
        ("brevo-code:0123456789abcdef", "brevo-code:fedcba98"),
        ("mandrill_verify.Ex4mpleT0kenEx4mpleT0k", "Ex4mpleT0kenEx4mpleT0k"),
        ("mandrill_verify.Ex4mpleT0kenEx4mpleT0k", "mandrill_verify.An0therT0kenAn0therT0k"),
        ("postal-verification ex4mplet0ken", "ex4mplet0ken"),
        ("postal-verification ex4mplet0ken", "postal-verification an0therone"),
        ("google-site-verification=Ex4mpleT0kenEx4mple", "Ex4mpleT0kenEx4mple"),
    ],
)
def test_tokens_of_all_shapes(wanted: str, there: str) -> None:
    plan = plan_of(ownership={"value": wanted})
    seen = Names({APEX: [there, "other-site=1"]})
    judged = seen.judged(plan, "ownership")
    assert verdict(judged) == ("Wrong", "OWNERSHIP_MISMATCH")
    assert judged.cause is not None
    assert judged.cause.fix is not None
    seen.apply(judged.cause.fix)
    assert verdict(seen.judged(plan, "ownership")) == ("Valid", None)


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ("postroom-verification=of-another", ("Wrong", "OWNERSHIP_MISMATCH")),
        ("token=abc", ("Wrong", "OWNERSHIP_MISMATCH")),
        ("abcdefghijklmnopqrstuvwxyz234567", ("Wrong", "OWNERSHIP_MISMATCH")),
        ("parked", ("Missing", "OWNERSHIP_MISSING")),
        ("this domain is for sale", ("Missing", "OWNERSHIP_MISSING")),
        ("v=spf1 -all", ("Missing", "OWNERSHIP_MISSING")),
    ],
)
def test_at_a_name_of_its_own_every_token_was_meant_as_the_required_one(
    there: str, wanted: tuple[str, str]
) -> None:
    plan = plan_of(ownership={})
    seen = Names({(f"_postroom-challenge.{DOMAIN}", "TXT"): [there]})
    assert verdict(seen.judged(plan, "ownership")) == wanted


@pytest.mark.parametrize(
    "there", ["v=spf1 include:0123456789abcdef.example.net -all", "site=1", "hello", ""]
)
def test_what_has_nothing_to_do_with_the_token_is_none(there: str) -> None:
    judged = Names({APEX: [there]}).judged(PLAN, "ownership")
    assert verdict(judged) == ("Missing", "OWNERSHIP_MISSING")
