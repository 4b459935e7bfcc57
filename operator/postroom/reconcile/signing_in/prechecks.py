# SPDX-License-Identifier: Apache-2.0
"""What can be told of an attempt before anything is dialled, as verdicts and findings."""

from __future__ import annotations

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
class Checked:
    """What was found: with `blocking` nothing is to be dialled; the others only warn."""

    blocking: PreCheck | None = None
    warnings: tuple[PreCheck, ...] = ()


NOTHING = Checked()


def check(attempt: Attempt) -> Checked:
    """Look at an attempt before it is made."""
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
    blocking = next((one for one in found if one.blocks), None)
    return Checked(blocking, tuple(one for one in found if one is not blocking))


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
    wanted = [ConditionType.TARGET_ALLOWED, protocol.available]
    wanted += [ConditionType.TLS_VERIFIED] if tls else []
    wanted += [protocol.authenticated] if auth else []
    return tuple(
        failed(one, reason, blocking.sentence)
        if one is place
        else unknown(one, Reason.NOT_ATTEMPTED, blocking.sentence)
        for one in wanted
    )


def findings_of(checked: Checked, protocol: Protocol) -> tuple[Finding, ...]:
    """What blocks as an error, all else as warnings."""
    every = ([checked.blocking] if checked.blocking else []) + list(checked.warnings)
    return tuple(
        Finding(
            code=one.cause.name,
            severity=Severity.ERROR if one.blocks else Severity.WARNING,
            subject=f"{protocol.name} {one.place}",
            message=one.sentence,
        )
        for one in {(one.cause, one.place): one for one in reversed(every)}.values()
    )
