# SPDX-License-Identifier: Apache-2.0
"""What the state of a sending domain means for its email accounts: Degraded does not stop them."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.conditions import ConditionStatus
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.sendingdomain import RecordState
from postroom.reconcile.backing import Backing, dependency_verdicts, effective_sender
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


def behind(domain: Domain) -> Backing:
    return Backing(None, domain.resource, None, (), (), frozenset())


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
    (verdict,) = dependency_verdicts(account(), behind(domain))
    assert verdict.status is expected
    used = effective_sender(account(), behind(domain))
    assert (used.address, used.reason) == ("support@send.example.com", sender)


def test_a_degraded_domain_is_told() -> None:
    (verdict,) = dependency_verdicts(account(), behind(degraded()))
    assert verdict.message == (
        "SendingDomain d is Degraded: sending goes on until its grace period ends. Read its status."
    )


@pytest.mark.parametrize(
    ("domain", "address"),
    [
        (verified(), "support@send.example.com"),
        (degraded(), "support@send.example.com"),
        (failed(), "noreply@relay.example.net"),
    ],
)
def test_the_fallback_is_for_domains_that_failed(domain: Domain, address: str) -> None:
    spec = account(**FALLBACK)
    assert effective_sender(spec, behind(domain)).address == address
    assert dependency_verdicts(spec, behind(domain)) == ()
