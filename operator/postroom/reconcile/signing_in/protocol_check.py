# SPDX-License-Identifier: Apache-2.0
"""One protocol of a server or an account checked: from its references to what the server answered.

Target, credentials, attempt, precheck, probe; then verdicts, findings and facts for status.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from postroom.api.conditions import Condition, ConditionStatus, ConditionType, Verdict, find
from postroom.api.credentials_reference import CredentialsReference
from postroom.api.emailaccount_status import ProtocolProbes, SyncPhase
from postroom.api.findings import Finding
from postroom.api.mailserver import MailServerSpec, ProbeFacts, ProbeStage, TLSMode
from postroom.api.oauth import OAuth
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount, MailServer
from postroom.api.status import ResolvedReference
from postroom.mail.report import Login, ProbeReport
from postroom.reconcile.signing_in import (
    prechecks,
    probing,
    references,
    retrying,
    token_credentials,
)
from postroom.reconcile.signing_in.prechecks import NOTHING, Prechecked
from postroom.reconcile.signing_in.probing import SMTP, AnyCredentials, Attempt, Protocol
from postroom.reconcile.signing_in.targets import Target, smtp_target
from postroom.reconcile.status.assessment import Evidence
from postroom.reconcile.status.outcome import Memory, Rejection
from postroom.reconcile.world import LookupUnavailable, World

#: What is added to what is well where nobody signed in.
LEFT_OUT = " Signing in was left out."
_NO_EVIDENCE = Evidence()
_TRUST = frozenset({ConditionType.TLS_VERIFIED})


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom to sign in: by the Secret or the OAuth that a spec names, or not at all.

    `address` is the mailbox that a token is for, unless `oauth` names another; `field` is the one
    that names the Secret. `lent_by` is the server whose grant it is, if that is not the object's.
    """

    credentials_ref: CredentialsReference | None
    oauth: OAuth | None
    address: str = ""
    field: str = "spec.credentialsRef"
    lent_by: MailServer | None = None


@dataclass(frozen=True, slots=True)
class ProtocolCheck:
    """One protocol of a server or an account: what is tried, and what came of it.

    `attempt` is None where there is nothing to try; `problem` is the reference that leads nowhere.
    `report` is None where nothing was dialled.
    """

    attempt: Attempt | None = None
    problem: Verdict | None = None
    resolved: tuple[ResolvedReference, ...] = ()
    prechecked: Prechecked = NOTHING
    report: ProbeReport | None = None

    @property
    def is_blocked(self) -> bool:
        """Whether the attempt cannot work, so that nothing is dialled."""
        return self.prechecked.blocking is not None

    @property
    def credentials(self) -> AnyCredentials | None:
        return self.attempt.credentials if self.attempt is not None else None

    async def probed(self, world: World, memory: Memory) -> ProtocolCheck:
        """The check with its report, unless there is nothing to try or something forbids it."""
        attempt = self.attempt
        if attempt is None or self.is_blocked:
            return self

        async def probe(login: Login | None) -> ProbeReport:
            if attempt.protocol is SMTP:
                return await world.outbound.mail.probe(attempt.endpoint, login, None)
            with memory.busy_at_mailbox(SyncPhase.SYNCING, world.now()):
                return await world.outbound.mail.probe(attempt.endpoint, login, attempt.mailbox)

        return replace(self, report=await probing.probe_once(attempt, probe, memory, world))

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What the report, or what blocks the attempt, amounts to; none where neither is known."""
        if self.attempt is None:
            return ()
        protocol, auth = self.attempt.protocol, self.attempt.credentials is not None
        tls = self.attempt.endpoint.tls is not TLSMode.NONE
        if self.report is not None:
            return probing.verdicts_of(self.report, protocol, tls=tls, auth=auth)
        if self.prechecked.blocking is not None:
            return prechecks.verdicts_of(self.prechecked.blocking, protocol, tls=tls, auth=auth)
        return ()

    def findings(self, now: datetime) -> tuple[Finding, ...]:
        """The cause of a failed probe, and warnings about the certificate."""
        if self.attempt is None or self.report is None:
            return ()
        attempt = self.attempt
        name = attempt.endpoint.server_name
        return probing.findings_of(self.report, attempt.protocol, now, name)

    @property
    def precheck_findings(self) -> tuple[Finding, ...]:
        """What was wrong, or looked so, before anything was dialled."""
        if self.attempt is None:
            return ()
        return prechecks.findings_of(self.prechecked, self.attempt.protocol)

    @property
    def evidence(self) -> Evidence:
        """What stands behind the verdicts on trust and on signing in, beside the verdicts."""
        if self.attempt is None:
            return _NO_EVIDENCE
        trust = _TRUST if self.attempt.trusts_others else frozenset[ConditionType]()
        if self.credentials is None:
            return Evidence(withdrawn=trust)
        sign_in = frozenset({self.attempt.protocol.authenticated})
        refusals = (self.report.refusals if self.report is not None else None) or 0
        return Evidence(
            withdrawn=trust | sign_in if self.attempt.is_new else trust,
            repeated=sign_in if refusals >= retrying.ATTEMPTS else frozenset(),
        )

    def told(self, resource: EmailAccount | MailServer) -> tuple[ResolvedReference, ...]:
        """What status is to say that the references led to: in the place of what no server was
        tried with yet that which a success that stands is about."""
        attempt, report = self.attempt, self.report
        if attempt is None or self.is_blocked:
            return self.resolved
        own = self.credentials.resolved if self.credentials is not None else ()
        untried: list[ResolvedReference] = []
        if (report is None or report.authenticated is None) and _stands(
            resource, attempt.protocol.authenticated
        ):
            untried += own
        if (report is None or not probing.reached(report, ProbeStage.CONNECT)) and _stands(
            resource, ConditionType.TLS_VERIFIED
        ):
            untried += (each for each in self.resolved if each not in own)
        before = {each.place: each for each in resource.status.resolved_refs}
        return tuple(
            before.get(each.place, each) if each in untried else each for each in self.resolved
        )

    def facts(self, before: ProbeFacts | None) -> ProbeFacts | None:
        """How far the probe came, for status; `before` is what status has of the same."""
        mark = self.attempt.mark if self.attempt is not None else None
        return probing.facts_of(self.report, before, mark) if self.report is not None else None


async def prepare(
    protocol: Protocol,
    target: Target,
    identity: Identity,
    resource: EmailAccount | MailServer,
    world: World,
) -> ProtocolCheck:
    """Follow the references to what would be tried, and look for what cannot work."""
    namespace = resource.metadata.namespace
    resolved: tuple[ResolvedReference, ...] = ()
    bundle = None
    if target.bundle is not None:
        place = target.namespace or namespace
        with references.unnamed(target.owner or None):
            found = await references.ca_bundle(world, place, target.bundle, target.bundle_field)
        if isinstance(found, Verdict):
            # What another namespace has is named in its own status alone.
            elsewhere = f"{target.owner} names authorities that cannot be read: read its status."
            fix = f"Have the owner of {target.owner} read its status."
            lent = references.unresolved(found.reason, elsewhere, "spec.serverRef", fix)
            problem = lent if target.namespace else found
            return ProtocolCheck(problem=problem)
        bundle = found.value
        resolved += () if target.namespace else (found.resolved,)
    credentials = await _credentials(identity, target, resource, world)
    if isinstance(credentials, Verdict):
        return ProtocolCheck(problem=credentials)
    attempt = Attempt(
        protocol,
        target.endpoint(bundle, namespace),
        credentials,
        resource.metadata.requested_at,
        target.mailbox,
        target.provider,
        trusts_others=_are_new(resource, resolved, ConditionType.TLS_VERIFIED),
    )
    if credentials is not None:
        if not credentials.resolved:
            attempt = replace(attempt, mark=_mark_of(attempt, resource))
        stored = _stored_rejection(attempt, credentials, resource, world)
        is_new = _is_new(attempt, credentials, resource)
        attempt = replace(attempt, stored=stored, is_new=is_new)
    resolved += credentials.resolved if credentials is not None else ()
    return ProtocolCheck(attempt, None, resolved, prechecks.check(attempt))


async def _credentials(
    identity: Identity, target: Target, resource: EmailAccount | MailServer, world: World
) -> AnyCredentials | Verdict | None:
    """What to sign in with, or why there is nothing; None where nobody signs in.

    Where none are sent, what a Secret that is there lacks is told all the same.
    """
    try:
        if identity.credentials_ref is not None:
            found: AnyCredentials | Verdict = await references.credentials(
                world,
                resource.metadata.namespace,
                identity.credentials_ref,
                identity.field,
                target.host,
                target.username,
                expressly=target.namespace is not None,
            )
        elif identity.oauth is not None:
            found = await _token_credentials(identity, identity.oauth, target, resource, world)
        else:
            return None
    except LookupUnavailable:
        if world.outbound.signs_in:
            raise
        return None
    if world.outbound.signs_in:
        return found
    is_there = isinstance(found, Verdict) and found.reason is not Reason.SECRET_NOT_FOUND
    return found if is_there else None


def _are_new(
    resource: EmailAccount | MailServer, used: Sequence[ResolvedReference], about: ConditionType
) -> bool:
    """Whether what status says by a condition is about others than the Secrets or the ConfigMap
    that are used now, and nothing has worked yet that could be taken back.

    Whoever puts in another password must not find the refusal of the old one told of it, least of
    all by an operator that begins, and would not send it.
    """
    status = resource.status
    once_ready = status.last_ready_generation == resource.metadata.generation
    if once_ready and not _failed(resource, about):
        return False
    return not all(reference in status.resolved_refs for reference in used)


def _is_new(
    attempt: Attempt, credentials: AnyCredentials, resource: EmailAccount | MailServer
) -> bool:
    """The same of credentials; those without a name in status have left a mark there if they are
    what was refused."""
    about = attempt.protocol.authenticated
    if attempt.mark is None:
        return _are_new(resource, credentials.resolved, about)
    stored, facts = _failed(resource, about), _facts_before(attempt, resource)
    refused = facts.refused if facts is not None else None
    return stored is not None and stored.reason in retrying.REFUSALS and refused != attempt.mark


def _stands(resource: EmailAccount | MailServer, about: ConditionType) -> bool:
    """Whether status tells of a success of this generation."""
    stored = find(resource.status.conditions, about)
    return (
        stored is not None
        and stored.status is ConditionStatus.TRUE
        and stored.observed_generation == resource.metadata.generation
    )


def _failed(resource: EmailAccount | MailServer, about: ConditionType) -> Condition | None:
    stored = find(resource.status.conditions, about)
    return stored if stored is not None and stored.status is ConditionStatus.FALSE else None


def _facts_before(attempt: Attempt, resource: EmailAccount | MailServer) -> ProbeFacts | None:
    """What status has of the last probe over a protocol."""
    facts = resource.status.last_probe
    if isinstance(facts, ProtocolProbes):
        return facts.smtp if attempt.protocol is SMTP else facts.imap
    return facts


async def _token_credentials(
    identity: Identity,
    oauth: OAuth,
    target: Target,
    resource: EmailAccount | MailServer,
    world: World,
) -> token_credentials.TokenCredentials | Verdict:
    """The grant to sign in with: the object's own, or the one that its server lends it."""
    lender, namespace = identity.lent_by, resource.metadata.namespace
    if lender is None:
        expressly = target.namespace is not None
        owner = token_credentials.owner_of(resource)
        return await token_credentials.grant_from(
            world, namespace, oauth, identity.address, target.host, owner, expressly=expressly
        )
    place = lender.metadata.namespace
    # Where its token goes besides its own host, the owner of the Secret says, and nobody else.
    expressly = target.host != smtp_target(lender.spec).host
    with references.unnamed(target.owner or None):
        found = await token_credentials.grant_from(
            world, place, oauth, identity.address, target.host, expressly=expressly
        )
    if place == namespace:
        return found
    if isinstance(found, Verdict):
        # What another namespace has is named in its own status alone.
        message = (
            f"The grant of MailServer {lender.metadata.name} of namespace {place} cannot be used "
            f"at {target.host}: have its owner read its status, and name the host in "
            "postroom.dev/allowed-hosts of the Secrets of its spec.oauth."
        )
        fix = (
            f"Have the owner of MailServer {lender.metadata.name} of namespace {place} read its "
            f"status, and name {target.host} in postroom.dev/allowed-hosts of the Secrets of its "
            "spec.oauth."
        )
        return references.unresolved(found.reason, message, "spec.serverRef", fix)
    return replace(found, grant=replace(found.grant, secret=""), resolved=())


def _mark_of(attempt: Attempt, resource: EmailAccount | MailServer) -> str:
    """Stand for credentials of another namespace in the status of who may not see their Secrets.

    They hold the random uid of a Secret, which nobody guesses, and the mark is for this object
    alone: whoever compares marks learns nothing. It is written when they are refused, which the
    status shows anyway, and not when they change.
    """
    about = f"{resource.metadata.uid} {attempt.slot}"
    return hashlib.sha256(about.encode("utf-8")).hexdigest()[:32]


def _stored_rejection(
    attempt: Attempt,
    credentials: AnyCredentials,
    resource: EmailAccount | MailServer,
    world: World,
) -> Rejection | None:
    """The refusal of these credentials that the stored status knows of."""
    facts = _facts_before(attempt, resource)
    known = credentials.resolved and retrying.are_known(resource, credentials.resolved)
    if attempt.mark is not None:
        known = facts is not None and facts.refused == attempt.mark
    if not known:
        return None
    about = attempt.protocol
    return retrying.restored(resource, about.name, about.authenticated, facts, world.now())


async def prepare_server(server: MailServer, world: World) -> ProtocolCheck:
    """How a MailServer signs in itself; raises `InvalidSpec` for what its provider forbids."""
    identity = Identity(server.spec.credentials_ref, server.spec.oauth)
    return await prepare(SMTP, smtp_target(server.spec), identity, server, world)


def server_references(spec: MailServerSpec, namespace: str | None = None) -> frozenset[str]:
    """The Secrets and CA bundles that a server's spec names, for objects of its namespace, or for
    those of others with the server's."""
    refs = set(token_credentials.references_of(spec.oauth, namespace))
    if spec.credentials_ref is not None:
        refs.add(references.reference_to("Secret", spec.credentials_ref.name, namespace))
    if (bundle := spec.tls.ca_bundle_ref) is not None:
        refs.add(references.reference_to(bundle.kind, bundle.name, namespace))
    return frozenset(refs)
