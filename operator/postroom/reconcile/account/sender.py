# SPDX-License-Identifier: Apache-2.0
"""Whether an account's server and domain let it send, and as whom applications should send now."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from postroom.api import resource, sendingdomain, status, times
from postroom.api.conditions import Condition, ConditionStatus, ConditionType, Verdict
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EffectiveSender
from postroom.api.reasons import Reason
from postroom.reconcile.account.dependencies import Dependencies, no_fallback_domain
from postroom.reconcile.account.server import not_ready
from postroom.reconcile.status.assessment import Conclude, Conclusion, failed, passed, unknown

#: What must hold, as far as it is judged, for a message to be sent at all.
SENDING = (
    ConditionType.REFERENCES_RESOLVED,
    ConditionType.DEPENDENCIES_READY,
    ConditionType.TARGET_ALLOWED,
    ConditionType.SMTP_AVAILABLE,
    ConditionType.SMTP_AUTHENTICATED,
)
_CONDITION = ConditionType.DEPENDENCIES_READY


def dependency_verdicts(spec: EmailAccountSpec, dependencies: Dependencies) -> tuple[Verdict, ...]:
    """Whether server and domain are ready; a fallback sender that is stands in for the domain.

    A domain that is Degraded does not stop its accounts.
    """
    states: list[tuple[ConditionStatus, Reason, resource.AnyResource]] = []
    if dependencies.server is not None:
        states.append(
            (dependencies.server_state, Reason.MAIL_SERVER_NOT_READY, dependencies.server)
        )
    usable = dependencies.domain_state is ConditionStatus.TRUE or dependencies.domain_degraded
    falls_back = dependencies.domain is not None and not usable and spec.fallback_sender is not None
    if dependencies.domain is not None and not falls_back:
        state = ConditionStatus.TRUE if usable else dependencies.domain_state
        states.append((state, Reason.SENDING_DOMAIN_NOT_READY, dependencies.domain))
    if not states and not falls_back:
        return ()
    for state, reason, other in states:
        if state is ConditionStatus.FALSE:
            return (failed(_CONDITION, reason, _not_ready(other, dependencies)),)
    if falls_back and (refusal := _fallback_refusal(spec, dependencies)) is not None:
        return (refusal,)
    for state, _, other in states:
        if state is ConditionStatus.UNKNOWN:
            name = dependencies.called(other)
            message = f"The state of {name} is not known yet."
            return (unknown(_CONDITION, Reason.DEPENDENCY_UNKNOWN, message),)
    name = dependencies.domain.metadata.name if dependencies.domain is not None else ""
    message = "Server and domain are ready."
    if falls_back:
        message = f"SendingDomain {name} is not ready, and spec.fallbackSender stands in for it."
    elif dependencies.domain_degraded:
        message = (
            f"SendingDomain {name} is Degraded: sending goes on until its grace period ends. Read "
            "its status."
        )
    return (passed(_CONDITION, Reason.DEPENDENCIES_READY, message),)


def forbids(spec: EmailAccountSpec, dependencies: Dependencies) -> bool:
    """Whether what an account stands on keeps everybody from sending, whatever Secrets hold."""
    return dependencies.problem is not None or any(
        verdict.failed for verdict in dependency_verdicts(spec, dependencies)
    )


def _not_ready(other: resource.AnyResource, dependencies: Dependencies) -> str:
    """That a server or a domain is not ready, and what that is for its account."""
    if dependencies.server is not None and other is dependencies.server:
        return not_ready(dependencies.server, dependencies.namespace).message
    name, said = dependencies.called(other), other.status
    if (
        isinstance(said, sendingdomain.SendingDomainStatus)
        and said.verification is sendingdomain.Verification.FAILED
        and said.degraded_at is not None
        and not dependencies.domain_claimed
    ):
        return (
            f"{name} was Degraded for longer than its gracePeriod, and is Failed: nothing is to be "
            "sent under it until it is verified again. Read its status."
        )
    return f"{name} is not ready: read its status."


def _fallback_refusal(spec: EmailAccountSpec, dependencies: Dependencies) -> Verdict | None:
    """Why the fallback sender cannot stand in now; None where it can."""
    fallback, state = spec.fallback_sender or "", dependencies.fallback_state
    if dependencies.fallback_refusal is not None:
        return dependencies.fallback_refusal
    if dependencies.fallback_domain is None:
        message = no_fallback_domain(fallback, dependencies.fallback_invalid)
        return failed(_CONDITION, Reason.FALLBACK_SENDER_NOT_VERIFIED, message)
    name = f"SendingDomain {dependencies.fallback_domain.metadata.name}"
    if state is ConditionStatus.FALSE:
        return failed(
            _CONDITION,
            Reason.FALLBACK_SENDER_NOT_VERIFIED,
            f"Neither the address's domain nor that of spec.fallbackSender is verified: {name} is "
            "not ready. Read its status.",
        )
    if state is ConditionStatus.UNKNOWN:
        return unknown(
            _CONDITION, Reason.DEPENDENCY_UNKNOWN, f"The state of {name} is not known yet."
        )
    return None


def effective_sender(spec: EmailAccountSpec, dependencies: Dependencies) -> EffectiveSender:
    """Decide as whom to send as far as domains tell; without an address there is nobody."""
    if dependencies.domain is None:
        if dependencies.missed_domain is not None:
            return EffectiveSender(reason=dependencies.missed_reason.value)
        return EffectiveSender(address=spec.address, reason="NoDomain")
    state = dependencies.domain_state
    if state is ConditionStatus.TRUE:
        return EffectiveSender(address=spec.address, reason="DomainVerified")
    if dependencies.domain_degraded:
        return EffectiveSender(address=spec.address, reason="DomainDegraded")
    if spec.fallback_sender is not None and dependencies.fallback_state is ConditionStatus.TRUE:
        return EffectiveSender(address=spec.fallback_sender, reason="FallbackUsed")
    reason = "DomainNotVerified" if state is ConditionStatus.FALSE else "DomainUnknown"
    return EffectiveSender(reason=reason)


def concluding(sender: EffectiveSender) -> Conclude:
    """Let the conditions that count decide whether anybody may send at all.

    What is only held back, as it was not seen failing twice, or could not be looked at for a
    moment, leaves the address that was there. The first time that somebody may is kept for good.
    """

    def conclude(
        conditions: Sequence[Condition], before: status.CommonStatus, now: datetime
    ) -> Conclusion:
        decided = decide(sender, hindrance(conditions), before)
        since: str | None = getattr(before, "connected_at", None)
        moment = times.timestamp(now)
        if since is not None:
            since = times.no_later(since, moment)
        elif decided.address is not None:
            since = moment
        return Conclusion({"effective_sender": decided, "connected_at": since})

    return conclude


def hindrance(found: Iterable[Condition | Verdict]) -> Condition | Verdict | None:
    """Return what keeps everybody from sending, among all that was found; None: nothing does."""
    counted = {each.type: each for each in found if each.type in SENDING}
    for worst in (ConditionStatus.FALSE, ConditionStatus.UNKNOWN):
        for condition in SENDING:
            if condition in counted and counted[condition].status is worst:
                return counted[condition]
    return None


def decide(
    sender: EffectiveSender, hindered_by: Condition | Verdict | None, before: status.CommonStatus
) -> EffectiveSender:
    """Decide as whom to send, by what domains tell and what hinders everybody."""
    stored: EffectiveSender | None = getattr(before, "effective_sender", None)
    if hindered_by is not None:
        return EffectiveSender(reason=str(hindered_by.reason))
    if sender.address is None and stored is not None and stored.address is not None:
        return stored
    return sender


def nobody(reason: Reason) -> EffectiveSender:
    """Nobody is to send, for this reason."""
    return EffectiveSender(reason=reason.value)


def ready_message(
    spec: EmailAccountSpec, dependencies: Dependencies, sender: EffectiveSender
) -> str:
    """What works: who sends, through what, and what is read."""
    server = dependencies.server
    uses = f" through {dependencies.called(server)}" if server is not None else ""
    if spec.at_provider and spec.provider is not None:
        uses = f" through {spec.provider.value}"
    reads = f" and reads {spec.imap.mailbox}" if spec.imap else ""
    if sender.address not in (None, spec.address):
        reads = f"; {spec.address} reads {spec.imap.mailbox}" if spec.imap else ""
        return (
            f"{sender.address} sends{uses} in place of {spec.address}, whose domain is not "
            f"verified{reads}."
        )
    return f"{spec.address} sends{uses}{reads}."
