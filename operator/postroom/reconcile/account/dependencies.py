# SPDX-License-Identifier: Apache-2.0
"""What an email account depends on: its server, its sending domain, and its rivals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

from postroom.api import names, status
from postroom.api.conditions import ConditionStatus, ConditionType, Verdict
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.findings import Finding, Severity
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource, EmailAccount, MailServer, SendingDomain
from postroom.reconcile import indexes
from postroom.reconcile.account import consumers, coverage
from postroom.reconcile.account.server import ServerFound, called, find_server, not_ready
from postroom.reconcile.signing_in.probing import code_of
from postroom.reconcile.signing_in.references import reference_to, unusable
from postroom.reconcile.status.assessment import failed, is_out_of_sight, readiness
from postroom.reconcile.tenancy.addresses import Contention
from postroom.reconcile.world import World


@dataclass(frozen=True)
class Dependencies:
    """The objects that an account stands on, as far as they exist.

    `problem` is the first reference that leads nowhere.
    """

    server: MailServer | None
    domain: SendingDomain | None
    problem: Verdict | None
    findings: tuple[Finding, ...]
    references: frozenset[str]
    #: Whose status this is for.
    namespace: str = ""
    #: Whether another namespace has the domain now, whatever its status says yet.
    domain_claimed: bool = False
    #: What is for the domain of `spec.fallbackSender`, and whether another namespace has that.
    fallback_domain: SendingDomain | None = None
    fallback_claimed: bool = False
    #: Why the fallback sender may not be used, whatever is verified.
    fallback_refusal: Verdict | None = None
    #: The SendingDomain that the account stood on, and that is gone.
    lost_domain: str | None = None
    #: What is wrong where a SendingDomain must cover the address and none does.
    missed_domain: str | None = None
    missed_reason: Reason = Reason.SENDING_DOMAIN_NOT_FOUND
    #: The SendingDomain for the domain of `spec.fallbackSender`, where its spec is invalid.
    fallback_invalid: str | None = None

    @property
    def has_address(self) -> bool:
        """Whether no other account keeps the address."""
        refusals = (Reason.DUPLICATE_ADDRESS, Reason.ADDRESS_CONFLICT)
        return self.problem is None or self.problem.reason not in refusals

    @property
    def domain_state(self) -> ConditionStatus:
        """Whether the domain is ready for its current spec, and may be had."""
        return ConditionStatus.FALSE if self.domain_claimed else readiness(self.domain)

    @property
    def domain_degraded(self) -> bool:
        """Whether the domain fails within its grace period, in which sending goes on."""
        return not self.domain_claimed and coverage.is_degraded(self.domain)

    @property
    def fallback_state(self) -> ConditionStatus:
        """Whether the fallback sender may be used: judged as the address itself is."""
        if self.fallback_domain is None or self.fallback_claimed or self.fallback_refusal:
            return ConditionStatus.FALSE
        if coverage.is_degraded(self.fallback_domain):
            return ConditionStatus.TRUE
        return readiness(self.fallback_domain)

    @property
    def out_of_sight(self) -> bool:
        """Whether something that sending stands on could not be looked at for too long."""
        usable = self.domain_state is ConditionStatus.TRUE or self.domain_degraded
        needed = (self.server, self.domain, None if usable else self.fallback_domain)
        return any(is_out_of_sight(each) for each in needed)

    @property
    def server_state(self) -> ConditionStatus:
        """Whether the server is ready for its current spec."""
        return readiness(self.server)

    @property
    def server_namespace(self) -> str | None:
        """Where the server is, if that is another namespace than the account's."""
        place = self.server.metadata.namespace if self.server is not None else self.namespace
        return place if place != self.namespace else None

    def called(self, resource: AnyResource) -> str:
        """Name one of these objects for whoever reads the account's status."""
        return called(resource, self.namespace)

    @cached_property
    def resolved(self) -> tuple[status.ResolvedReference, ...]:
        """Server and domain; asked for by whatever is compared and by what is told."""
        found = ((self.server, self.server_namespace), (self.domain, None))
        resolved = [
            status.ResolvedReference(
                kind=resource.kind.value, name=resource.metadata.name, namespace=namespace
            )
            for resource, namespace in found
            if resource is not None
        ]
        if self.lost_domain is not None:
            # It is missed for as long as the account exists, whatever restarts meanwhile.
            kind = names.Kind.SENDING_DOMAIN.value
            resolved.append(status.ResolvedReference(kind=kind, name=self.lost_domain))
        return tuple(resolved)


async def find_dependencies(resource: EmailAccount, world: World) -> Dependencies:
    """Find server, domain and rivals of an account."""
    spec, namespace = resource.spec, resource.metadata.namespace
    found = ServerFound() if spec.at_provider else await find_server(resource, world)
    covered = await coverage.coverage_of(spec.domain, namespace, world)
    domain = covered.covering
    lost: str | None = None
    if domain is None:
        # What the stored status says that the account stood on.
        kind = names.Kind.SENDING_DOMAIN.value
        earlier = resource.status.resolved_refs
        lost = next((reference.name for reference in earlier if reference.kind == kind), None)
        if lost is not None and await _is_invalid(lost, namespace, world):
            covered = replace(covered, invalid=covered.invalid or lost)
    missed = coverage.missing(spec, covered, lost) if domain is None else None
    findings = found.findings + tuple(_uncovered(resource, covered, lost, missed))
    if found.server is not None and readiness(found.server) is ConditionStatus.FALSE:
        findings += (not_ready(found.server, namespace),)
    problem = found.problem
    if problem is None and missed is not None:
        problem = failed(ConditionType.REFERENCES_RESOLVED, covered.reason, missed)
    fallback: SendingDomain | None = None
    fallback_invalid: str | None = None
    refusal: Verdict | None = None
    if spec.fallback_sender is not None:
        named = domain_of(spec.fallback_sender)
        stands_in = await coverage.coverage_of(named, namespace, world)
        fallback, fallback_invalid = stands_in.covering, stands_in.invalid
        refusal = await consumers.fallback_refusal(resource, spec.fallback_sender, world)
    problem = problem or await _receiver_problem(spec, namespace, world)
    same_address = indexes.by_address(spec.address)
    rivals = await world.find(names.Kind.EMAIL_ACCOUNT, namespace, same_address)
    duplicate = _duplicate(resource, rivals)
    contention = world.addresses.contention(resource.key, world.claims)
    problem = _conflict(spec, contention) or problem
    return Dependencies(
        found.server,
        domain,
        duplicate or problem,
        (
            *findings,
            *_warnings(
                resource,
                fallback,
                contention=contention,
                refusal=refusal,
                invalid=fallback_invalid,
            ),
        ),
        found.references | references_of(spec),
        namespace,
        domain_claimed=domain is not None and world.claims.refuses(domain.key),
        fallback_domain=fallback,
        fallback_claimed=fallback is not None and world.claims.refuses(fallback.key),
        fallback_refusal=refusal,
        lost_domain=lost,
        missed_domain=missed,
        missed_reason=covered.reason,
        fallback_invalid=fallback_invalid,
    )


async def _is_invalid(name: str, namespace: str, world: World) -> bool:
    kind = names.Kind.SENDING_DOMAIN
    return world.exists(kind, namespace, name) and await world.get(kind, namespace, name) is None


def references_of(spec: EmailAccountSpec) -> frozenset[str]:
    """Return what an account stands on besides its server and Secrets, by name or index."""
    refs = {
        *coverage.references_to(spec.domain),
        reference_to(names.Kind.EMAIL_ACCOUNT, indexes.by_address(spec.address)),
    }
    if spec.fallback_sender is not None:
        refs |= coverage.references_to(domain_of(spec.fallback_sender))
        refs |= consumers.references_to([spec.fallback_sender])
    others = [identity.address for identity in spec.enabled_identities]
    refs |= consumers.references_to(others)
    for other in others if spec.requires_domains else ():
        refs |= coverage.references_to(domain_of(other))
    refs.update(reference_to(names.Kind.EMAIL_ACCOUNT, name) for _, name in _receivers(spec))
    if spec.default:
        refs.add(reference_to(names.Kind.EMAIL_ACCOUNT, indexes.DEFAULT))
    return frozenset(refs)


def domain_of(address: str) -> str:
    """Return the domain of an address, in lowercase."""
    return address.rpartition("@")[2].lower()


def _uncovered(
    resource: EmailAccount, covered: coverage.Coverage, lost: str | None, missed: str | None
) -> Iterator[Finding]:
    """What is told of an address that no SendingDomain covers; `missed`: one must be there."""
    domain, namespace = resource.spec.domain, resource.metadata.namespace
    if missed is not None:
        mends = covered.invalid is None
        fix = coverage.declaring(domain, namespace, lost) if mends else None
        yield coverage.not_found(missed, covered.reason, fix)
    elif covered.above is not None:
        yield coverage.not_covered(domain, namespace, covered.above)


async def _receiver_problem(spec: EmailAccountSpec, namespace: str, world: World) -> Verdict | None:
    for place, name in _receivers(spec):
        kind = names.Kind.EMAIL_ACCOUNT
        if await world.get(kind, namespace, name) is None:
            return unusable(world, kind, namespace, name, place) or failed(
                ConditionType.REFERENCES_RESOLVED,
                Reason.EMAIL_ACCOUNT_NOT_FOUND,
                f"EmailAccount {name} ({place}) does not exist in this namespace: create it or "
                "correct the name.",
                place,
            )
    return None


def _receivers(spec: EmailAccountSpec) -> Iterator[tuple[str, str]]:
    """The accounts whose mailboxes receive for this one, each after the field that names it."""
    if spec.round_trip.receiver_ref is not None:
        yield "spec.roundTrip.receiverRef", spec.round_trip.receiver_ref.name
    if spec.forwarding is not None and spec.forwarding.receiver_ref is not None:
        yield "spec.forwarding.receiverRef", spec.forwarding.receiver_ref.name


def _warnings(
    resource: EmailAccount,
    fallback: SendingDomain | None,
    *,
    contention: Contention,
    refusal: Verdict | None,
    invalid: str | None,
) -> Iterator[Finding]:
    """What is not as the spec means it, though nothing fails of it yet."""
    spec = resource.spec
    # A fallback that could not be used: to be known before it is needed.
    if refusal is not None:
        yield _warning(refusal.reason, "fallbackSender", refusal.message)
    elif spec.fallback_sender is not None and fallback is None:
        message, fix = no_fallback_domain(spec.fallback_sender, invalid), None
        if invalid is None:
            fix = coverage.declaring(domain_of(spec.fallback_sender), resource.metadata.namespace)
        unverified = Reason.FALLBACK_SENDER_NOT_VERIFIED
        yield _warning(unverified, "fallbackSender", message).model_copy(update={"fix": fix})
    if contention is Contention.KEPT:
        yield _warning(
            Reason.ADDRESS_CONFLICT,
            "address",
            f"An EmailAccount of another namespace is for {spec.address}, too, and is refused: "
            "this one keeps the address. Nothing needs to be done here.",
        )


def _warning(reason: Reason, subject: str, message: str) -> Finding:
    return Finding(
        code=code_of(reason), severity=Severity.WARNING, subject=subject, message=message
    )


def no_fallback_domain(fallback: str, invalid: str | None) -> str:
    """The sentence on a fallback sender that nothing speaks for; `invalid` is the SendingDomain
    that would if its spec were not invalid."""
    if invalid is not None:
        why = coverage.is_invalid(invalid, domain_of(fallback))
        return f"spec.fallbackSender is not used. {why}"
    return (
        f"spec.fallbackSender is not used: no SendingDomain of this namespace is for "
        f"{domain_of(fallback)}, so that nothing shows that it may send. Create one, or name an "
        "address of a domain that is verified here."
    )


def _conflict(spec: EmailAccountSpec, contention: Contention) -> Verdict | None:
    """That an account of another namespace keeps the address; which one is not for this to see."""
    if contention is not Contention.LOST:
        return None
    return failed(
        ConditionType.REFERENCES_RESOLVED,
        Reason.ADDRESS_CONFLICT,
        f"An EmailAccount of another namespace keeps {spec.address}: delete this one, or have the "
        f"other one deleted or disconnected. Whoever has {spec.domain} verified in a SendingDomain "
        "goes first, then the older account.",
    )


def _duplicate(resource: EmailAccount, rivals: Sequence[AnyResource]) -> Verdict | None:
    """The oldest account of an address keeps it."""

    others = [rival for rival in rivals if rival.metadata.name != resource.metadata.name]
    older = [other for other in others if indexes.age(other) < indexes.age(resource)]
    if not older:
        return None
    holder = cast("EmailAccount", min(older, key=indexes.age))
    consumer = holder.spec.consumer
    application = f" (for the application {consumer.name})" if consumer is not None else ""
    return failed(
        ConditionType.REFERENCES_RESOLVED,
        Reason.DUPLICATE_ADDRESS,
        f"EmailAccount {holder.metadata.name}{application} already stands for "
        f"{resource.spec.address}: remove one of the two.",
    )
