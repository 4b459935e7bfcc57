# SPDX-License-Identifier: Apache-2.0
"""What the accounts behind a server may send together, held against what the server may."""

from collections.abc import Iterator, Sequence

from postroom.api.findings import Finding, Severity
from postroom.api.mailserver import MailServerSpec
from postroom.api.resource import EmailAccount
from postroom.api.send_limits import NO_SERVER_LIMITS, UNLIMITED, SendPlan, Weekday
from postroom.reconcile.tenancy.ceilings import Limits, documented, limits_behind, limits_of
from postroom.reconcile.tenancy.send_plan import plan

#: So many accounts are named, those that may send most first.
_NAMED = 5
#: Each with the name that it may be called by, which one of another namespace has not.
_Plans = Sequence[tuple[str | None, SendPlan]]


def is_limited(spec: MailServerSpec) -> bool:
    """Whether there is anything that the accounts behind a server could exceed."""
    limits = _limits_of(spec)
    return any(
        each.server is not None or each.firm is not None for each in (limits.daily, limits.hourly)
    )


def _limits_of(spec: MailServerSpec) -> Limits:
    """What the server itself and its provider limit."""
    return limits_of(UNLIMITED, spec.limits or NO_SERVER_LIMITS, documented(spec))


def findings_of(
    spec: MailServerSpec, everybody: Sequence[EmailAccount], namespace: str
) -> Iterator[Finding]:
    """One for each limit of the server that its provider, or the sum of its accounts, exceeds.

    `namespace` is the server's, whose accounts alone are named.
    """
    accounts = [account for account in everybody if not account.spec.at_rest]
    # Whoever signs in as themselves has what the provider documents for themselves.
    sharing = [each for each in accounts if not _as_themselves(each, spec, namespace)]
    alone = spec.signs_in and len(sharing) == len(accounts)
    limits = _limits_of(spec)
    for limited in (limits.daily, limits.hourly):
        server, firm = limited.server, limited.firm
        field = f"limits.{limited.kind}"
        if alone and server is not None and firm is not None and server > firm:
            message = (
                f"spec.{field} is {server}, but {limited.documentation}, and that holds: lower it "
                f"to {firm}."
            )
            yield _finding("SEND_LIMIT_ABOVE_PROVIDER", field, message)
        if server is not None:
            plans = _plans(spec, accounts, namespace)
            fix = f"or raise spec.{field} if the provider allows more"
            yield from _overcommitted(
                plans, limited.kind, server, field, f"spec.{field} is {server}", fix
            )
        if firm is not None and spec.signs_in and (server is None or firm < server):
            # Who asks for nothing is told of no limit that nobody has set.
            asking = [each for each in sharing if _asks(each, limited.kind)]
            plans = _plans(spec, asking, namespace)
            fix = "or let some of them sign in as themselves"
            yield from _overcommitted(
                plans, limited.kind, firm, "credentialsRef", limited.documentation, fix
            )


def _overcommitted(
    plans: _Plans, kind: str, ceiling: int, subject: str, said: str, fix: str
) -> Iterator[Finding]:
    """Several accounts that together may send more than there is for all of them."""
    daily = kind == "daily"
    numbers = [((found.daily if daily else found.hourly) or 0, name) for name, found in plans]
    total = sum(number for number, _ in numbers) if daily else _peak(plans)
    if len(plans) < 2 or total <= ceiling:
        return
    own = sorted((-number, name) for number, name in numbers if name is not None)[:_NAMED]
    named = ", ".join(f"{name} {-number}" for number, name in own) or "of other namespaces"
    more = f" and {len(plans) - len(own)} more" if own and len(plans) > len(own) else ""
    yield _finding(
        "SEND_LIMITS_OVERCOMMITTED",
        subject,
        f"The accounts behind this server may together send {total} "
        f"{'a day' if daily else 'an hour'} ({named}{more}), but {said}: set "
        f"spec.sendLimits.{kind} of them so that together it is at most {ceiling}, {fix}.",
    )


def _finding(code: str, subject: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, subject=subject, message=message)


def _as_themselves(account: EmailAccount, server: MailServerSpec, namespace: str) -> bool:
    """Whether an account signs in with credentials of its own, or by the server's grant."""
    lent = server.grant_for(account.spec.address, account.metadata.namespace, namespace)
    return account.spec.signs_in or lent is not None


def _asks(account: EmailAccount, kind: str) -> bool:
    asked = account.spec.send_limits or UNLIMITED
    return (asked.daily if kind == "daily" else asked.hourly) is not None


def _plans(spec: MailServerSpec, accounts: Sequence[EmailAccount], namespace: str) -> _Plans:
    """The plans of accounts that have one."""
    return [
        (account.metadata.name if account.metadata.namespace == namespace else None, found)
        for account in accounts
        if (found := plan(account.spec.send_limits or UNLIMITED, limits_behind(account.spec, spec)))
    ]


def _peak(plans: _Plans) -> int:
    """The most that may go out in an hour of any day, by what is sure to coincide.

    Windows of one time zone are laid over each other, with the accounts that have none; those of
    different zones are not, since the hours between them change with the seasons.
    """
    always = sum(found.hourly or 0 for _, found in plans if found.window is None)
    windows = [(found.window, found.hourly or 0) for _, found in plans if found.window is not None]
    peaks = [
        always
        + sum(
            hourly
            for window, hourly in windows
            if window.time_zone == opening.time_zone
            and day in window.days
            and window.start <= opening.start < window.end
        )
        for opening, _ in windows
        for day in Weekday
        if day in opening.days
    ]
    return max(peaks, default=always)
