# SPDX-License-Identifier: Apache-2.0
"""What the state of a sending domain means for its email accounts: Degraded does not stop them."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.conditions import ConditionStatus
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.sendingdomain import RecordState
from postroom.reconcile.account.dependencies import Dependencies
from postroom.reconcile.account.sender import dependency_verdicts, effective_sender, ready_message
from unit.reconcile.domain_worlds import GRACE, Domain, but, degraded, verified

NO_K1 = but(dkim_k1=RecordState.MISSING)
FALLBACK = {"fallbackSender": "noreply@relay.example.net"}


def account(**changes: Any) -> EmailAccountSpec:
    return EmailAccountSpec.model_validate({"address": "support@send.example.com", **changes})


def failed() -> Domain:
    domain = degraded()
    domain.wait(GRACE)
    domain.look(NO_K1)
    return domain


def pending() -> Domain:
    domain = Domain()
    domain.look(NO_K1)
    return domain


def edited_while_degraded() -> Domain:
    domain = degraded()
    domain.edit(interval="2h")
    return domain


def dependencies(domain: Domain, fallback: Domain | None = None) -> Dependencies:
    found = fallback.resource if fallback is not None else None
    return Dependencies(None, domain.resource, None, (), frozenset(), fallback_domain=found)


@pytest.mark.parametrize(
    ("domain", "expected", "sender"),
    [
        (verified(), ConditionStatus.TRUE, "DomainVerified"),
        (degraded(), ConditionStatus.TRUE, "DomainDegraded"),
        (failed(), ConditionStatus.FALSE, "DomainNotVerified"),
        (pending(), ConditionStatus.FALSE, "DomainNotVerified"),
        (edited_while_degraded(), ConditionStatus.UNKNOWN, "DomainUnknown"),
    ],
)
def test_dependencies_and_sender(domain: Domain, expected: ConditionStatus, sender: str) -> None:
    address = "support@send.example.com" if expected is ConditionStatus.TRUE else None
    (verdict,) = dependency_verdicts(account(), dependencies(domain))
    assert verdict.status is expected
    used = effective_sender(account(), dependencies(domain))
    assert (used.address, used.reason) == (address, sender)


def test_a_degraded_domain_is_told() -> None:
    (verdict,) = dependency_verdicts(account(), dependencies(degraded()))
    assert verdict.message == (
        "SendingDomain d is Degraded: sending goes on until its grace period ends. Read its status."
    )


@pytest.mark.parametrize(
    ("domain", "fallback", "address", "expected"),
    [
        (verified(), verified(), "support@send.example.com", ConditionStatus.TRUE),
        (verified(), None, "support@send.example.com", ConditionStatus.TRUE),
        (degraded(), pending(), "support@send.example.com", ConditionStatus.TRUE),
        (failed(), verified(), "noreply@relay.example.net", ConditionStatus.TRUE),
        (failed(), degraded(), "noreply@relay.example.net", ConditionStatus.TRUE),
        (pending(), verified(), "noreply@relay.example.net", ConditionStatus.TRUE),
        (failed(), None, None, ConditionStatus.FALSE),
        (failed(), failed(), None, ConditionStatus.FALSE),
        (failed(), pending(), None, ConditionStatus.FALSE),
        (failed(), edited_while_degraded(), None, ConditionStatus.UNKNOWN),
        (edited_while_degraded(), verified(), "noreply@relay.example.net", ConditionStatus.TRUE),
    ],
)
def test_the_fallback_is_judged_like_the_address(
    domain: Domain, fallback: Domain | None, address: str | None, expected: ConditionStatus
) -> None:
    spec, found = account(**FALLBACK), dependencies(domain, fallback)
    assert effective_sender(spec, found).address == address
    (verdict,) = dependency_verdicts(spec, found)
    assert verdict.status is expected
    told = ready_message(spec, found, effective_sender(spec, found))
    assert (address in told) if address else True


def test_ready_names_who_sends() -> None:
    spec, found = account(**FALLBACK), dependencies(failed(), verified())
    told = ready_message(spec, found, effective_sender(spec, found))
    assert told == (
        "noreply@relay.example.net sends in place of support@send.example.com, whose domain is not "
        "verified."
    )
