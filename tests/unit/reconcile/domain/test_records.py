# SPDX-License-Identifier: Apache-2.0
"""What status says of a domain's records.

Covers: a verdict and a sentence for every purpose, what decides it where there are several records,
selectors that are not in use, dates of retired selectors, and what stays known of records that
could not be looked at.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postroom.api.conditions import ConditionStatus, ConditionType
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import Purpose, RecordState, RecordStatus, Verification
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.verifying.report import RecordReport
from postroom.reconcile.domain.records import CONDITIONS, status_fields, verdict_on
from unit.reconcile.domain_worlds import BLIND, GOOD, SPEC, Domain, but, report, verified

MISSING = RecordState.MISSING


def record(purpose: Purpose, state: RecordState, name: str = "a.example.com") -> RecordReport:
    """A record of a purpose."""
    made = report({"spf": state}).records[0]
    planned = replace(made.planned, purpose=purpose, name=name, id=name)
    return replace(made, planned=planned, message=f"{name}.")


def roles(**given: str) -> dict[str, Any]:
    """The DKIM part of a spec with these roles, by selector."""
    return {"dkim": [{**one, "role": given.get(one["selector"], "Active")} for one in SPEC["dkim"]]}


def retired_at(domain: Domain) -> str | None:
    """The date of the first selector."""
    return next(one.retired_at for one in domain.status.records if one.id == "dkim-k1")


@pytest.mark.parametrize("purpose", Purpose)
def test_every_purpose_has_a_condition_and_a_sentence(purpose: Purpose) -> None:
    good = verdict_on(purpose, [record(purpose, RecordState.VALID)])
    assert (good.type, good.status) == (CONDITIONS[purpose], ConditionStatus.TRUE)
    assert good.message.endswith(".")
    assert good.type.value == f"{purpose.value}Verified"


@pytest.mark.parametrize("purpose", Purpose)
def test_nothing_looked_at_is_never_verified(purpose: Purpose) -> None:
    assert verdict_on(purpose, []).status is not ConditionStatus.TRUE


def test_the_worst_record_decides_and_the_others_are_named() -> None:
    states = {"c": MISSING, "b": MISSING, "a": RecordState.UNKNOWN, "d": RecordState.VALID}
    verdict = verdict_on(
        Purpose.MX, [record(Purpose.MX, one, name) for name, one in states.items()]
    )
    assert verdict.failed
    assert verdict.message == "c. The same holds for b."


@pytest.mark.parametrize("end", ["Publish: v=spf1 -all", "Publish: 10 mx.example.com", "It goes"])
def test_a_message_that_ends_in_a_value_gets_its_full_stop(end: str) -> None:
    first, second = (record(Purpose.MX, MISSING, name) for name in ("a", "b"))
    alone = verdict_on(Purpose.MX, [replace(first, message=end)])
    assert alone.message == end
    both = verdict_on(Purpose.MX, [replace(first, message=end), second])
    assert both.message == f"{end}. The same holds for b."


def test_one_name_is_not_repeated() -> None:
    verdict = verdict_on(Purpose.MX, [record(Purpose.MX, MISSING)] * 3)
    assert verdict.message == "a.example.com."


@pytest.mark.parametrize("role", ["Next", "Retired"])
def test_a_selector_that_is_not_in_use_decides_nothing(role: str) -> None:
    domain = Domain(spec={**SPEC, **roles(k1=role)})
    assert domain.look(but(dkim_k1=MISSING)) is Verification.VERIFIED
    assert domain.look(but(dkim_k2=MISSING), certain=True) is Verification.VERIFIED
    domain.wait(timedelta(minutes=10))
    assert domain.look(but(dkim_k2=MISSING)) is Verification.DEGRADED


def test_without_an_active_selector_nothing_is_verified() -> None:
    domain = Domain(spec={**SPEC, **roles(k1="Next", k2="Retired")})
    assert domain.look(GOOD) is Verification.PENDING
    assert domain.condition(ConditionType.DKIM_VERIFIED) == ("False", "SelectorNotFound")


def test_a_selector_is_dated_when_it_is_first_seen_retired() -> None:
    domain = verified()
    assert retired_at(domain) is None
    domain.edit(**roles(k1="Retired"))
    domain.wait(timedelta(hours=1))
    domain.look(GOOD)
    assert retired_at(domain) == "2026-11-21T13:00:00Z"


def test_the_date_stays_whatever_else_happens() -> None:
    domain = Domain(spec={**SPEC, **roles(k1="Retired")})
    domain.look(GOOD)
    for states in (but(dkim_k1=MISSING), BLIND, GOOD):
        domain.wait(timedelta(hours=1))
        domain.restart()
        domain.edit(interval="2h")
        domain.look(states)
        assert retired_at(domain) == "2026-11-21T12:00:00Z"


def test_the_date_goes_with_the_role() -> None:
    domain = Domain(spec={**SPEC, **roles(k1="Retired")})
    domain.look(GOOD)
    domain.edit(**roles())
    domain.look(GOOD)
    assert retired_at(domain) is None


def test_what_could_not_be_looked_at_stays_known() -> None:
    domain = verified()
    domain.look(but(dkim_k1=MISSING))
    before = domain.status
    domain.look(BLIND)
    assert domain.status.records == before.records
    assert (domain.status.zone, domain.status.nameservers) == (before.zone, before.nameservers)


def test_nothing_is_known_of_a_new_spec() -> None:
    domain = verified()
    domain.edit(interval="2h")
    domain.look(BLIND)
    assert {one.state for one in domain.status.records} == {RecordState.UNKNOWN}
    assert domain.status.zone is None


@pytest.mark.parametrize(
    ("id", "expected"), [("dkim-k1", RecordState.UNKNOWN), ("spf", RecordState.VALID)]
)
def test_a_key_that_changed_in_its_secret_is_not_known(id: str, expected: RecordState) -> None:
    before = verified().status
    looked = report(BLIND)
    changed = replace(
        looked,
        records=tuple(
            replace(record, planned=replace(record.planned, value="another"))
            for record in looked.records
        ),
    )
    fields = status_fields(changed, before, {}, same_generation=True)
    records = fields["records"]
    assert isinstance(records, list)
    found = {one.id: one.state for one in records if isinstance(one, RecordStatus)}
    assert found[id] is expected


def test_the_host_of_the_zone_is_told() -> None:
    looked = replace(report(GOOD), dns_host="Example DNS")
    assert status_fields(looked, verified().status, {}, same_generation=True)["dns_host"] == (
        "Example DNS"
    )


def test_a_lookup_that_failed_does_not_lag() -> None:
    domain = verified()
    half = but(dkim_k1=RecordState.UNKNOWN, dkim_k2=RecordState.PROPAGATING)
    domain.wait(timedelta(hours=5))
    assert domain.look(half) is Verification.UNKNOWN
    assert domain.condition(ConditionType.DKIM_VERIFIED) == ("Unknown", Reason.LOOKUP_FAILED.value)


@pytest.mark.parametrize(
    ("thorough", "code", "stays"),
    [
        (False, "DELEGATION_MISMATCH", True),
        (True, "DELEGATION_MISMATCH", False),
        (False, "NS_INCONSISTENT", False),
    ],
)
def test_what_is_rarely_looked_for_stands_until_it_is(
    thorough: bool, code: str, stays: bool
) -> None:
    found = finding(Code(code), "domain", "The parent zone lists other name servers.")
    before = verified().status.model_copy(update={"findings": [found]})
    looked = replace(report(GOOD), thorough=thorough)
    fields = status_fields(looked, before, {}, same_generation=True)
    assert fields["findings"] == ([found] if stays else [])
    assert status_fields(looked, before, {}, same_generation=False)["findings"] == []


def test_what_proves_whose_a_domain_is_stands_in_status_no_longer_than_its_verdict_counts() -> None:
    """Whoever may write a status could have written it."""
    domain = verified()
    owned = ConditionType.OWNERSHIP_VERIFIED

    def states() -> set[tuple[RecordState, bool]]:
        proofs = (one for one in domain.status.records if one.purpose is Purpose.OWNERSHIP)
        return {
            (one.state, domain.condition(owned) == ("Unknown", "LookupFailed")) for one in proofs
        }

    domain.restart()
    domain.look(BLIND)
    assert states() == {(RecordState.VALID, False)}, "an outage takes nothing from anybody at once"
    domain.wait(timedelta(hours=5))
    domain.look(BLIND)
    assert states() == {(RecordState.UNKNOWN, True)}
    others = {one.state for one in domain.status.records if one.purpose is not Purpose.OWNERSHIP}
    assert others == {RecordState.VALID}
    domain.look(GOOD)
    assert states() == {(RecordState.VALID, False)}
