# SPDX-License-Identifier: Apache-2.0
"""What is published below a parent's DMARC record: never weaker than what applied, and stable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dmarc
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.dmarc import Discovery, PolicySource
from postroom.dns.publishing.dns_endpoint import HandedSet
from postroom.dns.texts.presentation import presentation
from postroom.dns.verifying.inheritance import carried_over
from unit.dns.fake_zone import FakeZone
from unit.dns.judging_looks import plan_of

DOMAIN, BELOW = "send.example.com", "x.send.example.com"
OWN, PARENT = f"_dmarc.{DOMAIN}", "_dmarc.example.com"
TAGS = st.sampled_from(
    [
        *(f"{tag}={policy}" for tag in ("p", "sp", "np") for policy in DMARCPolicy),
        *("adkim=s", "aspf=s", "fo=1", "t=y", "psd=n", "psd=y", "p=x", "rf=afrf"),
        *("rua=mailto:o@example.com", "ruf=mailto:f@example.com"),
    ]
)
PARENTS = st.lists(TAGS, max_size=6).map(lambda tags: "; ".join(["v=DMARC1", *tags]))
HANDED = list[HandedSet]


def carried(
    zone: FakeZone, policy: str = "none", ours: HANDED | None = None, rua: list[str] | None = None
) -> str | None:
    plan = plan_of(domain=DOMAIN, dmarc={"policy": policy, "rua": rua or []})
    made = run(carried_over(zone, plan.records, ours or []))
    assert list(made) == [OWN]
    return made[OWN]


def handed(value: str) -> HANDED:
    return [HandedSet(OWN, "TXT", (presentation(value),))]


def what_applies(zone: FakeZone, domain: str = DOMAIN) -> Discovery:
    names = dmarc.walk_names(domain)
    questions = [Question(name, RecordType.TXT) for name in (*names, domain)]

    async def ask() -> list[Answer]:
        return [await zone.authoritative(each) for each in questions]

    *above, about = run(ask())
    answers = dict(zip(names, above, strict=True))
    return dmarc.discover(domain, answers, dmarc.existence(about))


@given(
    st.dictionaries(st.sampled_from([PARENT, "_dmarc.com"]), PARENTS),
    st.sampled_from(list(DMARCPolicy)),
    st.booleans(),
)
def test_what_is_published_is_never_weaker_than_what_applied_and_stays_so(
    parents: dict[str, str], policy: DMARCPolicy, exists: bool
) -> None:
    zone = FakeZone({(name, "TXT"): [text] for name, text in parents.items()})
    if exists:
        zone.records[DOMAIN, "TXT"] = ["v=spf1 -all"]
    before, below = what_applies(zone), what_applies(zone, BELOW)
    value = carried(zone, policy.value, rua=["mailto:d@example.com"])
    assert value is not None
    zone.records[OWN, "TXT"] = [value]
    after, below_after = what_applies(zone), what_applies(zone, BELOW)
    assert after.source is PolicySource.OWN
    assert after.record is not None
    assert after.record.at_least(policy)
    assert "mailto:d@example.com" in after.record.rua
    if before.policy is not None and before.record is not None:
        assert after.record.at_least(before.policy)
        assert set(before.record.rua) <= set(after.record.rua)
        assert {each.uri for each in before.record.failure} <= {
            each.uri for each in after.record.failure
        }
        assert (after.record.adkim, after.record.aspf) == (before.record.adkim, before.record.aspf)
    if below.policy is not None:
        assert below_after.policy is not None
        assert dmarc.PolicyRecord(below_after.policy, ()).at_least(below.policy)
    # The next runs do not take it back, not even once other records make the domain exist.
    zone.records[DOMAIN, "TXT"] = ["v=spf1 -all"]
    ours = handed(value)
    again = carried(zone, policy.value, ours, ["mailto:d@example.com"])
    assert again is not None
    assert dmarc.parse(again).strictness >= after.record.strictness
    third = carried(zone, policy.value, handed(again), ["mailto:d@example.com"])
    assert third == again
    if exists:
        assert again == value


def test_what_applied_to_a_domain_without_records_goes_on_once_it_has_some() -> None:
    zone = FakeZone({(PARENT, "TXT"): ["v=DMARC1; p=reject; sp=none; np=reject"]})
    value = carried(zone)
    assert value is not None
    assert dmarc.parse(value).policy is DMARCPolicy.REJECT
    zone.records[OWN, "TXT"] = [value]
    assert carried(zone, ours=handed(value)) == value
    # A domain that existed before gets what names that exist get.
    assert carried(zone) == "v=DMARC1; p=none"


def test_a_parent_that_asks_for_less_than_before_is_followed() -> None:
    zone = FakeZone({(PARENT, "TXT"): ["v=DMARC1; p=reject; adkim=s"], (DOMAIN, "TXT"): ["text"]})
    value = carried(zone)
    assert value == "v=DMARC1; p=reject; adkim=s"
    zone.records[PARENT, "TXT"] = ["v=DMARC1; p=quarantine"]
    assert carried(zone, ours=handed(value)) == "v=DMARC1; p=quarantine"
    del zone.records[PARENT, "TXT"]
    assert carried(zone, ours=handed(value)) == "v=DMARC1; p=none"


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.SERVER_FAILURE, Outcome.REFUSED])
@pytest.mark.parametrize("name", [PARENT, "_dmarc.com"])
def test_of_a_parent_that_cannot_be_asked_nothing_is_known(name: str, outcome: Outcome) -> None:
    zone = FakeZone({(PARENT, "TXT"): ["v=DMARC1; p=reject"]})
    zone.failing[name] = outcome
    assert carried(zone) is None


def test_whether_the_domain_exists_is_asked_only_where_that_decides() -> None:
    zone = FakeZone({(PARENT, "TXT"): ["v=DMARC1; p=reject; sp=none"]})
    zone.failing[DOMAIN] = Outcome.TIMEOUT
    assert carried(zone) == "v=DMARC1; p=none"
    zone.records[PARENT, "TXT"] = ["v=DMARC1; p=reject; sp=none; np=reject"]
    assert carried(zone) is None


def test_what_is_longer_than_a_record_may_be_is_not_cut() -> None:
    long = ",".join(f"mailto:{number:0100}@example.com" for number in range(40))
    zone = FakeZone({(PARENT, "TXT"): [f"v=DMARC1; p=reject; rua={long}"]})
    assert carried(zone) is None
