# SPDX-License-Identifier: Apache-2.0
"""What can be told of an attempt before anything is dialled, as verdicts and findings."""

from dataclasses import dataclass

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Finding, Severity
from postroom.api.reasons import Reason
from postroom.mail import precheck
from postroom.mail.precheck import PreCheck
from postroom.mail.replies import Protocol as MailProtocol
from postroom.mail.replies import causes
from postroom.reconcile.signing_in.probing import TLS_REASONS, Attempt, Protocol
from postroom.reconcile.status.assessment import failed, unknown


@dataclass(frozen=True, slots=True)
class Prechecked:
    """What was found: with `blocking` nothing is to be dialled; the others only warn."""

    blocking: PreCheck | None = None
    warnings: tuple[PreCheck, ...] = ()


NOTHING = Prechecked()


def check(attempt: Attempt) -> Prechecked:
    """What is wrong with an attempt, or looks so, before it is made."""
    endpoint = attempt.endpoint
    found = precheck.precheck(
        precheck.Attempt(
            protocol=MailProtocol(attempt.protocol.name),
            host=endpoint.host,
            port=endpoint.port,
            tls=endpoint.tls,
            login=attempt.login,
            token=attempt.by_token,
            provider=attempt.provider,
        )
    )
    blocking = next((fault for fault in found if fault.blocks), None)
    return Prechecked(blocking, tuple(fault for fault in found if fault is not blocking))


def verdicts_of(
    blocking: PreCheck, protocol: Protocol, *, tls: bool, auth: bool
) -> tuple[Verdict, ...]:
    """The verdict of what blocks, and no verdict on all else: nothing was dialled."""
    reason = causes()[blocking.cause].reason
    place = protocol.available
    if reason in TLS_REASONS:
        place = ConditionType.TLS_VERIFIED
    elif blocking.place in ("username", "password", "oauth"):
        place = protocol.authenticated
    conditions = [ConditionType.TARGET_ALLOWED, protocol.available]
    conditions += [ConditionType.TLS_VERIFIED] if tls else []
    conditions += [protocol.authenticated] if auth else []
    return tuple(
        failed(condition, reason, blocking.sentence)
        if condition is place
        else unknown(condition, Reason.NOT_ATTEMPTED, blocking.sentence)
        for condition in conditions
    )


def findings_of(checked: Prechecked, protocol: Protocol) -> tuple[Finding, ...]:
    """What blocks as an error, all else as warnings."""
    every = ([checked.blocking] if checked.blocking else []) + list(checked.warnings)
    return tuple(
        Finding(
            code=fault.cause.name,
            severity=Severity.ERROR if fault.blocks else Severity.WARNING,
            subject=f"{protocol.name} {fault.place}",
            message=fault.sentence,
        )
        for fault in {(fault.cause, fault.place): fault for fault in reversed(every)}.values()
    )
