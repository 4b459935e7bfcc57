# SPDX-License-Identifier: Apache-2.0
"""How much of a domain is looked at, what is made of it, and who may have it at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.resource import SendingDomain
from postroom.api.sendingdomain import RecordState, SendingDomainStatus, Verification
from postroom.dns.ownership import OwnershipRules
from postroom.reconcile.domain import sendingdomain
from postroom.reconcile.domain.sendingdomain import Case, judge, scope_of
from postroom.reconcile.indexes import by_domain
from postroom.reconcile.status.assessment import Assessment
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.status.summarize import summarize
from postroom.reconcile.tenancy.claims import ClaimBook
from unit.reconcile.domain.test_records import roles
from unit.reconcile.domain_worlds import CONFIRM_AFTER, GOOD, SPEC, Domain, but, report, verified
from unit.reconcile.mail_worlds import NAMESPACE, MailWorld

MISSING = RecordState.MISSING


def test_the_dates_are_handed_to_the_look() -> None:
    domain = Domain(spec={**SPEC, **roles(k1="Retired")})
    domain.look(GOOD)
    noted = domain.now
    domain.wait(timedelta(days=2))
    assert scope_of(domain.resource, domain.memory, domain.now).retired_at == {"dkim-k1": noted}


def test_what_was_valid_is_known_to_the_next_look_at_the_same_spec() -> None:
    domain = verified()
    domain.look(but(dkim_k1=MISSING))
    known = scope_of(domain.resource, domain.memory, domain.now).known_valid
    assert known == {"ownership", "dkim-k2", "spf"}
    domain.edit(interval="2h")
    assert scope_of(domain.resource, domain.memory, domain.now).known_valid == frozenset()


def test_unlikely_places_are_searched_at_the_first_look_and_then_daily_or_on_demand() -> None:
    domain = Domain()

    def searches() -> bool:
        return scope_of(domain.resource, domain.memory, domain.now).search

    assert searches()
    domain.look(but(dkim_k1=MISSING))
    for seconds in (5, 10, 20):
        domain.wait(timedelta(seconds=seconds))
        assert not searches()
        domain.look(but(dkim_k1=MISSING))
    domain.wait(timedelta(days=1))
    assert searches()
    domain.look(but(dkim_k1=MISSING))
    assert not searches()
    domain.edit(interval="2h")
    assert searches()


def test_a_thorough_look_is_made_once_a_day() -> None:
    domain, looks = verified(), 0
    for _ in range(48):
        domain.wait(timedelta(hours=1))
        looks += scope_of(domain.resource, domain.memory, domain.now).full
    assert looks == 2


@pytest.mark.parametrize(
    ("status", "generation", "before"),
    [
        ({"verification": "Failed", "observedGeneration": 2}, 2, True),
        ({"verification": "Failed", "observedGeneration": 1}, 2, False),
        ({"verification": "Failed", "observedGeneration": 2, "lastReadyGeneration": 2}, 2, False),
        ({"verification": "Pending", "observedGeneration": 2}, 2, False),
        ({}, 1, False),
    ],
)
def test_what_failed_before_was_never_verified(
    status: dict[str, Any], generation: int, before: bool
) -> None:
    domain = Domain(generation=generation, stored=status)
    case = Case(domain.resource, domain.resource.spec, frozenset(), CONFIRM_AFTER)
    assert case.failed_before is before


@pytest.mark.parametrize(
    ("keyless", "elsewhere", "gates"),
    [(False, True, True), (True, False, True), (True, True, False)],
)
def test_what_only_anothers_key_could_show_gates_nothing(
    keyless: bool, elsewhere: bool, gates: bool
) -> None:
    domain = Domain()
    rules = OwnershipRules(key_elsewhere=elsewhere)
    spec = domain.resource.spec
    case = Case(domain.resource, spec, frozenset(), CONFIRM_AFTER, rules, keyless=keyless)
    assert (ConditionType.OWNERSHIP_VERIFIED in case.required) is gates
    assert ConditionType.DKIM_VERIFIED in case.required
    assert ConditionType.SPF_VERIFIED not in case.required


class Duplicates(MailWorld):
    """Two objects for one domain, the first one older."""

    def __init__(self) -> None:
        super().__init__()
        for number, name in enumerate(("old", "new")):
            key = Key(Kind.SENDING_DOMAIN, NAMESPACE, name)
            self.add(key, domain="send.example.com", spf={"includes": ["spf.example.net"]})
            created = f"2026-11-0{number + 1}T00:00:00Z"
            self.objects[key]["metadata"]["creationTimestamp"] = created

    async def assessed(self, name: str) -> Assessment:
        found = await self.get(Kind.SENDING_DOMAIN, NAMESPACE, name)
        resource = cast("SendingDomain", found)
        return await sendingdomain.assess(resource, self, Memory(), CONFIRM_AFTER)


async def test_of_two_for_one_domain_the_younger_asks_nobody_and_names_the_older() -> None:
    (verdict,) = (await Duplicates().assessed("new")).verdicts
    assert (verdict.type, verdict.reason) == (
        ConditionType.REFERENCES_RESOLVED,
        Reason.DUPLICATE_DOMAIN,
    )
    assert "SendingDomain old already stands for send.example.com" in verdict.message


async def test_a_change_of_the_other_one_brings_it_back() -> None:
    references = (await Duplicates().assessed("new")).references
    assert references >= {f"SendingDomain/{by_domain('send.example.com')}"}


def test_whoever_loses_a_domain_keeps_nothing_and_says_so_to_others() -> None:
    """Whoever gets it later begins anew: nothing of what was is worth a grace period."""
    domain, book = verified(), ClaimBook()
    resource = domain.resource
    case = Case(resource, resource.spec, frozenset(), CONFIRM_AFTER, book=book)
    winner = replace(case.claim, namespace="winner", name="w", verified_at="2026-01-01T00:00:00Z")
    book.note(case.claim)
    book.note(replace(winner, proven=True))
    scope = scope_of(resource, domain.memory, domain.now)
    judged = judge(case, report(GOOD), scope, domain.memory, domain.now)
    status = summarize(resource, judged, domain.memory, domain.now).status
    assert isinstance(status, SendingDomainStatus)
    assert (status.verification, status.verified_at) == (Verification.FAILED, None)
    assert status.last_ready_generation is None
    assert book.refuses(case.claim.key)
