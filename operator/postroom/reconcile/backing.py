# SPDX-License-Identifier: Apache-2.0
"""What stands behind an email account: its server, its sending domain, and its rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from postroom.api.conditions import ConditionStatus, ConditionType, Verdict, find
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EffectiveSender
from postroom.api.findings import Finding, Severity
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource, EmailAccount, MailServer, SendingDomain
from postroom.api.sendingdomain import Verification
from postroom.api.status import ResolvedReference
from postroom.reconcile import indexes
from postroom.reconcile.assessment import failed, passed, unknown
from postroom.reconcile.probing import code_of
from postroom.reconcile.references import reference_to
from postroom.reconcile.world import World


@dataclass(frozen=True, slots=True)
class Backing:
    """The objects that an account stands on, as far as they exist.

    `problem` is the first reference that leads nowhere. `default_accounts` are the names of the
    accounts that claim to be the namespace's default, if this one does.
    """

    server: MailServer | None
    domain: SendingDomain | None
    problem: Verdict | None
    findings: tuple[Finding, ...]
    default_accounts: tuple[str, ...]
    references: frozenset[str]
    #: Whether another namespace has the domain now, whatever its status says yet.
    domain_claimed: bool = False

    @property
    def domain_state(self) -> ConditionStatus:
        """Whether the domain is ready for its current spec, and may be had."""
        return ConditionStatus.FALSE if self.domain_claimed else readiness(self.domain)

    @property
    def domain_degraded(self) -> bool:
        """Whether the domain fails within its grace period, in which sending goes on."""
        return not self.domain_claimed and is_degraded(self.domain)

    @property
    def server_state(self) -> ConditionStatus:
        """Whether the server is ready for its current spec."""
        return readiness(self.server)

    @property
    def resolved(self) -> tuple[ResolvedReference, ...]:
        found = [one for one in (self.server, self.domain) if one is not None]
        return tuple(
            ResolvedReference(kind=one.kind.value, name=one.metadata.name) for one in found
        )


def readiness(resource: AnyResource | None) -> ConditionStatus:
    """Return Ready of a resource; Unknown where it is not about the current generation."""
    if resource is None:
        return ConditionStatus.UNKNOWN
    ready = find(resource.status.conditions, ConditionType.READY)
    if ready is None or resource.status.observed_generation != resource.metadata.generation:
        return ConditionStatus.UNKNOWN
    return ready.status


def is_degraded(domain: SendingDomain | None) -> bool:
    """Tell whether a domain fails within its grace period, in which sending goes on."""
    if domain is None or readiness(domain) is not ConditionStatus.FALSE:
        return False
    return domain.status.verification is Verification.DEGRADED


async def find_backing(resource: EmailAccount, world: World) -> Backing:
    """Find server, domain and rivals of an account."""
    spec, namespace = resource.spec, resource.metadata.namespace
    server: MailServer | None = None
    problem: Verdict | None = None
    refs: frozenset[str] = frozenset()
    if not spec.at_provider:
        server, problem, refs = await _find_server(spec, namespace, world)
    domain_index = indexes.by_domain(spec.domain)
    domains = await world.find(Kind.SENDING_DOMAIN, namespace, domain_index)
    domain = cast("SendingDomain", domains[0]) if domains else None
    if domain is None and spec.fallback_sender is not None:
        problem = problem or failed(
            ConditionType.REFERENCES_RESOLVED,
            Reason.SENDING_DOMAIN_NOT_FOUND,
            f"spec.fallbackSender is set, but no SendingDomain of this namespace is for "
            f"{spec.domain}: create one.",
        )
    same_address = indexes.by_address(spec.address)
    rivals = await world.find(Kind.EMAIL_ACCOUNT, namespace, same_address)
    duplicate = _duplicate(resource, rivals)
    defaults: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    refs |= {
        reference_to(Kind.SENDING_DOMAIN, domain_index),
        reference_to(Kind.EMAIL_ACCOUNT, same_address),
    }
    if spec.default:
        refs |= {reference_to(Kind.EMAIL_ACCOUNT, indexes.DEFAULT)}
        claimed = await world.find(Kind.EMAIL_ACCOUNT, namespace, indexes.DEFAULT)
        defaults = tuple(one.metadata.name for one in claimed)
        findings = _several_defaults(defaults)
    taken = domain is not None and world.claims.refuses(domain.key)
    return Backing(server, domain, duplicate or problem, findings, defaults, refs, taken)


async def _find_server(
    spec: EmailAccountSpec, namespace: str, world: World
) -> tuple[MailServer | None, Verdict | None, frozenset[str]]:
    """Follow serverRef, or find the one default MailServer of the namespace."""
    condition = ConditionType.REFERENCES_RESOLVED
    if spec.server_ref is not None:
        name = spec.server_ref.name
        refs = frozenset({reference_to(Kind.MAIL_SERVER, name)})
        found = await world.get(Kind.MAIL_SERVER, namespace, name)
        if found is not None:
            return cast("MailServer", found), None, refs
        message = (
            f"MailServer {name} (spec.serverRef) does not exist in this namespace: create it or "
            "correct the name."
        )
        return None, failed(condition, Reason.MAIL_SERVER_NOT_FOUND, message), refs
    refs = frozenset({reference_to(Kind.MAIL_SERVER, indexes.DEFAULT)})
    defaults = await world.find(Kind.MAIL_SERVER, namespace, indexes.DEFAULT)
    if len(defaults) == 1:
        return cast("MailServer", defaults[0]), None, refs
    if not defaults:
        message = (
            "spec.serverRef is not set and no MailServer of this namespace has spec.default true: "
            "set one of them."
        )
        return None, failed(condition, Reason.NO_DEFAULT, message), refs
    names = ", ".join(one.metadata.name for one in defaults[:5])
    message = (
        f"spec.serverRef is not set and {len(defaults)} MailServers claim to be the default: "
        f"{names}. Set spec.serverRef, or leave spec.default true on one."
    )
    return None, failed(condition, Reason.AMBIGUOUS_DEFAULT, message), refs


def _duplicate(resource: EmailAccount, rivals: Sequence[AnyResource]) -> Verdict | None:
    """The oldest account of an address keeps it."""

    def age(one: AnyResource) -> tuple[str, str]:
        return one.metadata.creation_timestamp, one.metadata.name

    others = [one for one in rivals if one.metadata.name != resource.metadata.name]
    older = [one for one in others if age(one) < age(resource)]
    if not older:
        return None
    return failed(
        ConditionType.REFERENCES_RESOLVED,
        Reason.DUPLICATE_ADDRESS,
        f"EmailAccount {min(older, key=age).metadata.name} already stands for "
        f"{resource.spec.address}: remove one of the two.",
    )


def _several_defaults(names: tuple[str, ...]) -> tuple[Finding, ...]:
    if len(names) < 2:
        return ()
    return (
        Finding(
            code=code_of(Reason.AMBIGUOUS_DEFAULT),
            severity=Severity.WARNING,
            subject="default",
            message=f"{len(names)} EmailAccounts claim to be the default: "
            f"{', '.join(names[:5])}. Leave spec.default true on one; until then none is.",
        ),
    )


def dependency_verdicts(spec: EmailAccountSpec, behind: Backing) -> tuple[Verdict, ...]:
    """Say whether server and domain are ready; a fallback sender stands in for the domain.

    A domain that is Degraded does not stop its accounts.
    """
    condition = ConditionType.DEPENDENCIES_READY
    degraded = spec.fallback_sender is None and behind.domain_degraded
    states: list[tuple[ConditionStatus, Reason, AnyResource]] = []
    if behind.server is not None:
        states.append((behind.server_state, Reason.MAIL_SERVER_NOT_READY, behind.server))
    if behind.domain is not None and spec.fallback_sender is None:
        state = ConditionStatus.TRUE if degraded else behind.domain_state
        states.append((state, Reason.SENDING_DOMAIN_NOT_READY, behind.domain))
    if not states:
        return ()
    for state, reason, other in states:
        if state is ConditionStatus.FALSE:
            name = f"{other.kind.value} {other.metadata.name}"
            return (failed(condition, reason, f"{name} is not ready: read its status."),)
    for state, _, other in states:
        if state is ConditionStatus.UNKNOWN:
            name = f"{other.kind.value} {other.metadata.name}"
            message = f"The state of {name} is not known yet."
            return (unknown(condition, Reason.DEPENDENCY_UNKNOWN, message),)
    message = "Server and domain are ready."
    if degraded and behind.domain is not None:
        message = (
            f"SendingDomain {behind.domain.metadata.name} is Degraded: sending goes on until its "
            "grace period ends. Read its status."
        )
    return (passed(condition, Reason.DEPENDENCIES_READY, message),)


def effective_sender(spec: EmailAccountSpec, behind: Backing) -> EffectiveSender:
    """Decide which sender applications should use now."""
    if behind.domain is None:
        if spec.fallback_sender is not None:
            return EffectiveSender(address=spec.fallback_sender, reason="FallbackUsed")
        return EffectiveSender(address=spec.address, reason="NoDomain")
    state = behind.domain_state
    if state is ConditionStatus.TRUE:
        return EffectiveSender(address=spec.address, reason="DomainVerified")
    if behind.domain_degraded:
        return EffectiveSender(address=spec.address, reason="DomainDegraded")
    if spec.fallback_sender is not None:
        return EffectiveSender(address=spec.fallback_sender, reason="FallbackUsed")
    reason = "DomainNotVerified" if state is ConditionStatus.FALSE else "DomainUnknown"
    return EffectiveSender(address=spec.address, reason=reason)
