# SPDX-License-Identifier: Apache-2.0
"""What several senders require of one domain at once, and what stands there crosswise."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.findings import FixAction
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Outcome
from unit.dns.domains import DOMAIN, HEALTHY, OTHER_RSA, RSA, look, record
from unit.dns.fake_zone import FakeZone, Key

ONE, TWO = "192.0.2.1", "192.0.2.2"


def included(name: str, lookups: int, address: str) -> dict[Key, list[str]]:
    """The records of an include that takes so many lookups before its own address passes."""
    below = [f"s{number}.{name}" for number in range(lookups - 1)]
    terms = [f"include:{one}" for one in below]
    made: dict[Key, list[str]] = {(one, "TXT"): ["v=spf1 -all"] for one in below}
    return {(name, "TXT"): [" ".join(["v=spf1", *terms, f"ip4:{address}", "-all"])], **made}


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        (5, 5, RecordState.VALID),
        (9, 1, RecordState.VALID),
        (10, 1, RecordState.WRONG),
        (1, 10, RecordState.WRONG),
        (6, 5, RecordState.WRONG),
    ],
)
def test_includes_that_fit_by_themselves_and_not_together_are_too_many(
    first: int, second: int, state: RecordState
) -> None:
    others = {**included("one.net", first, ONE), **included("two.net", second, TWO)}
    text = "v=spf1 include:one.net include:two.net ~all"
    zone = FakeZone({**HEALTHY, **others, (DOMAIN, "TXT"): ["provider-verify=abc", text]})
    report = look(zone, spf={"includes": ["one.net", "two.net"]})
    assert record(report, "spf").state is state
    found = next((one for one in report.findings if one.subject == "spf"), None)
    if state is RecordState.WRONG:
        assert found is not None and found.fix is not None
        assert (found.code, found.fix.action) == ("SPF_TOO_MANY", FixAction.EXTERNAL)


CROSSED: list[tuple[str, list[dict[str, str]], str, str]] = [
    (
        "TXT",
        [{"selector": "s1", "publicKey": RSA}, {"selector": "s2", "publicKey": OTHER_RSA}],
        f"v=DKIM1; p={OTHER_RSA}",
        f"v=DKIM1; p={RSA}",
    ),
    (
        "CNAME",
        [{"selector": "s1", "cname": "k1.provider.net"}, {"selector": "s2", "cname": "k2.net"}],
        "k2.net",
        "k1.provider.net",
    ),
]


@pytest.mark.parametrize(("kind", "keys", "first", "second"), CROSSED)
def test_keys_that_stand_under_each_other_s_selector_are_exchanged_as_the_text_says(
    kind: str, keys: list[dict[str, str]], first: str, second: str
) -> None:
    """Whoever reads that something is to be published only, leaves what stands there beside it."""
    wrong: dict[Key, list[str]] = {
        (f"s1._domainkey.{DOMAIN}", kind): [first],
        (f"s2._domainkey.{DOMAIN}", kind): [second],
        ("k2.net", "TXT"): [f"v=DKIM1; p={RSA}"],
    }
    zone = FakeZone({key: values for key, values in HEALTHY.items() if "s1._d" not in key[0]})
    zone.records |= wrong
    spec: dict[str, Any] = {"dkim": keys}
    for id in ("dkim-s1", "dkim-s2"):
        found = next(one for one in look(zone, **spec).findings if one.subject == id)
        assert found.fix is not None
        assert found.fix.action is FixAction.REPLACE
        assert f"Delete {kind} {found.fix.name}" in found.message
        zone.apply(found.fix)
    states = {one.id: one.state for one in look(zone, **spec).records}
    assert {states["dkim-s1"], states["dkim-s2"]} == {RecordState.VALID}


@pytest.mark.parametrize(
    ("required", "theirs"),
    [
        ("MS=ms73914463", "MS=ms73914462"),
        ("x-verification=12345678901", "x-verification=123456789012345"),
        ("x-verification=123456789012345", "x-verification=12345678901"),
        ("12345678901=x-verification", "12345678912345678901=x-verification"),
        ("vendor-site=0123456789abcdef0123", "vendor-site=0123456789abcdef0199"),
    ],
)
def test_what_may_be_the_value_of_another_account_stays(required: str, theirs: str) -> None:
    zone = FakeZone({**HEALTHY, (DOMAIN, "TXT"): [theirs]})
    report = look(zone, ownership={"value": required})
    found = next(one for one in report.findings if one.subject == "ownership")
    assert found.fix is not None
    assert (found.fix.action, found.fix.remove) == (FixAction.CREATE, [])
    zone.apply(found.fix)
    assert zone.records[DOMAIN, "TXT"] == [theirs, required]
    after = look(zone, ownership={"value": required})
    assert record(after, "ownership").state is RecordState.VALID


def test_a_parent_that_nobody_can_see_says_nothing_of_the_texts_that_stand_there() -> None:
    zone = FakeZone({**HEALTHY, (f"_dmarc.{DOMAIN}", "TXT"): ["v=spf1 -all"]})
    zone.failing = {"_dmarc.example.com": Outcome.SERVER_FAILURE}
    found = record(look(zone), "dmarc")
    assert found.state is RecordState.UNKNOWN
    there = f"There is no DMARC record among the TXT records at _dmarc.{DOMAIN}. What applies by"
    assert there in found.message


@pytest.mark.parametrize("lead", ["", "include:between.net "])
@pytest.mark.parametrize("there", [["v=spf1 ip4:192.0.2.7 -all"], []])
def test_no_include_is_offered_that_leads_back_to_the_record(there: list[str], lead: str) -> None:
    """Published, it would give permerror to all who pass now."""
    back = {
        ("back.net", "TXT"): [f"v=spf1 {lead or f'include:{DOMAIN} '}ip4:{ONE} -all"],
        ("between.net", "TXT"): [f"v=spf1 include:{DOMAIN} ~all"],
    }
    zone = FakeZone({**HEALTHY, **back, (DOMAIN, "TXT"): ["provider-verify=abc", *there]})
    report = look(zone, spf={"includes": ["back.net"]})
    found = next(one for one in report.findings if one.subject == "spf")
    assert found.fix is not None
    assert (found.code, found.fix.action) == ("SPF_LOOP", FixAction.EXTERNAL)
