# SPDX-License-Identifier: Apache-2.0
"""What an account may send, in status, and which of its limits do not hold as they are written."""

from collections.abc import Iterator

from postroom.api.findings import Finding, Severity
from postroom.api.send_limits import UNLIMITED, SendLimits
from postroom.reconcile.account.steps import AccountView, Contribution
from postroom.reconcile.tenancy.ceilings import Limited, Limits, limits_behind
from postroom.reconcile.tenancy.send_plan import plan, room_in


async def step(view: AccountView) -> Contribution:
    """Plan what the account may send; while its server is missing nobody knows the ceiling."""
    spec, server = view.resource.spec, view.dependencies.server
    if server is None and not spec.at_provider:
        return Contribution(fields={"send_plan": None})
    limits = limits_behind(spec, server.spec if server else None)
    asked = spec.send_limits or UNLIMITED
    return Contribution(
        fields={"send_plan": plan(asked, limits)}, findings=tuple(findings_of(asked, limits))
    )


def findings_of(asked: SendLimits, limits: Limits) -> Iterator[Finding]:
    """One for each limit of the account that does not hold as it is written."""
    for limited in (limits.daily, limits.hourly):
        yield from _above(limited)
    own, (daily, _), (hourly, _) = asked.daily, limits.daily.least, limits.hourly.least
    if own is not None and daily is not None and hourly is not None:
        room = room_in(hourly, asked.window)
        if room < daily:
            where = "the window" if asked.window else "a day"
            yield _finding(
                "SEND_WINDOW_TOO_SHORT",
                "sendLimits.daily",
                f"Of {daily} messages a day {room} fit into {where}, at {hourly} an hour: lower "
                f"spec.sendLimits.daily to {room}, allow more an hour, or open the window longer.",
            )
    if asked.ramp_up is not None and daily is not None and asked.ramp_up.start_daily >= daily:
        yield Finding(
            code="RAMP_UP_IDLE",
            severity=Severity.INFO,
            subject="sendLimits.rampUp",
            message=f"spec.sendLimits.rampUp begins with {asked.ramp_up.start_daily} a day, and no "
            f"more than {daily} may be sent: lower its startDaily below that, or remove rampUp.",
        )


def _above(limited: Limited) -> Iterator[Finding]:
    """An account's own limit that its server or its provider does not leave it."""
    own, field = limited.own, f"sendLimits.{limited.kind}"
    if own is None:
        return
    lower = f"lower it to {limited.ceiling}"
    if limited.server is not None and own > limited.server:
        yield _finding(
            "SEND_LIMIT_ABOVE_SERVER",
            field,
            f"spec.{field} is {own}, but spec.limits.{limited.kind} of the MailServer is "
            f"{limited.server}, and holds: {lower}, or raise the server's limit if its provider "
            "allows more.",
        )
    if limited.firm is not None and own > limited.firm:
        yield _finding(
            "SEND_LIMIT_ABOVE_PROVIDER",
            field,
            f"spec.{field} is {own}, but {limited.documentation}, and that holds: {lower}.",
        )
    elif limited.server is None and limited.documented and own > limited.documented.messages:
        yield _finding(
            "SEND_LIMIT_NEEDS_PLAN",
            field,
            f"spec.{field} is {own}, and {limited.documentation}. If that is this one, lower it to "
            f"{limited.documented.messages}; if more was granted, say how much in "
            f"spec.limits.{limited.kind} of the MailServer that the account sends through (where "
            "there is none, create it and name it in spec.serverRef).",
        )


def _finding(code: str, field: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, subject=field, message=message)
