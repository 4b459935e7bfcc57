# SPDX-License-Identifier: Apache-2.0
"""What a look at the mailbox leaves in status, and the look back that somebody asks for."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from postroom.api import emailaccount_status
from postroom.api.conditions import shorten
from postroom.api.findings import Finding, Severity
from postroom.api.mailserver import ProbeStage
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import parse_status
from postroom.api.times import timestamp
from postroom.mail.operations import Answer, CountDays, HistoryReport
from postroom.mail.report import Mailbox, Quota
from postroom.reconcile.account.messages import correspondents
from postroom.reconcile.account.steps import AccountView, Contribution
from postroom.reconcile.signing_in.probing import code_of
from postroom.reconcile.status import schedule
from postroom.reconcile.status.outcome import Outcome
from postroom.reconcile.status.schedule import is_busy

#: Shares of a quota from which on it is worth a warning, and an error.
_NEARLY_FULL, _FULL = 0.85, 0.95
#: What takes no longer is not told while it lasts.
_MOMENT = timedelta(seconds=3)


async def step(view: AccountView) -> Contribution:
    """Keep the facts of the mailbox, and look back where somebody asks for it."""
    before, spec = view.resource.status, view.resource.spec
    if spec.imap is None:
        return Contribution(fields={"last_backfill": await _backfill(view)})
    report = view.imap.report
    seen = report.mailbox if report is not None else None
    facts, last_sync = before.mailbox, before.last_sync
    findings: tuple[Finding, ...] = ()
    if seen is not None:
        facts = mailbox_facts(seen, before.mailbox)
        # The time moves with what else changes: alone it is not worth a write.
        now = view.world.now()
        changed = view.asked or facts != before.mailbox
        if (
            changed
            or last_sync is None
            or now - schedule.past(last_sync, now) >= schedule.HEARTBEAT
        ):
            last_sync = timestamp(now)
        findings = quota_findings(facts)
    return Contribution(
        fields={
            "mailbox": facts,
            "sync": emailaccount_status.SyncState(),
            "last_sync": last_sync,
            "last_backfill": await _backfill(view),
        },
        findings=findings,
    )


def under_way(
    raw: Mapping[str, Any],
    at_mailbox: tuple[emailaccount_status.SyncPhase, datetime] | None,
    now: datetime,
) -> emailaccount_status.EmailAccountStatus | None:
    """Return the status that tells what takes long at the mailbox; None: there is nothing to tell.

    What is over within a moment is not worth two writes.
    """
    if at_mailbox is None or now - at_mailbox[1] < _MOMENT:
        return None
    return _with_phase(raw, at_mailbox[0])


def cleared(raw: Mapping[str, Any], outcome: Outcome) -> Outcome:
    """Return an outcome that leaves no phase standing: the run is over, and so is whatever an
    earlier one was at when its process ended."""
    status = outcome.status
    if status is None:
        told = _with_phase(raw, emailaccount_status.SyncPhase.IDLE)
        return replace(outcome, status=told) if told is not None else outcome
    if isinstance(status, emailaccount_status.EmailAccountStatus) and is_busy(status):
        idle = {"sync": emailaccount_status.SyncState()}
        return replace(outcome, status=status.model_copy(update=idle))
    return outcome


def _with_phase(
    raw: Mapping[str, Any], phase: emailaccount_status.SyncPhase
) -> emailaccount_status.EmailAccountStatus | None:
    """The stored status with another phase; None where it says so already."""
    status = parse_status(Kind.EMAIL_ACCOUNT, raw.get("status"))
    if not isinstance(status, emailaccount_status.EmailAccountStatus):
        return None
    before = status.sync or emailaccount_status.SyncState()
    if before.phase is phase:
        return None
    return status.model_copy(update={"sync": emailaccount_status.SyncState(phase=phase)})


def mailbox_facts(
    mailbox: Mailbox, before: emailaccount_status.MailboxFacts | None
) -> emailaccount_status.MailboxFacts:
    """Turn what a check saw into status; `before` is what the last one saw."""
    arrived: int | None = None
    if (
        before is not None
        # UIDs only grow while UIDVALIDITY stays (RFC 9051 section 2.3.1.1).
        and (before.name, before.uid_validity) == (mailbox.name, mailbox.uid_validity)
        and mailbox.uid_next is not None
        and before.uid_next is not None
    ):
        arrived = max(mailbox.uid_next - before.uid_next, 0)
    return emailaccount_status.MailboxFacts(
        name=mailbox.name,
        messages=mailbox.messages,
        unseen=mailbox.unseen,
        uid_next=mailbox.uid_next,
        uid_validity=mailbox.uid_validity,
        newest_time=timestamp(mailbox.newest_at) if mailbox.newest_at else None,
        new_messages=arrived,
        octets=_usage(mailbox.octets),
        message_quota=_usage(mailbox.message_quota),
        append_limit=mailbox.append_limit,
        special=[
            emailaccount_status.SpecialMailbox(use=use, name=name)
            for use, name in sorted(mailbox.special.items())
        ][:8],
    )


def _usage(quota: Quota | None) -> emailaccount_status.QuotaUsage | None:
    return (
        emailaccount_status.QuotaUsage(used=quota.used, limit=quota.limit)
        if quota is not None
        else None
    )


def quota_findings(facts: emailaccount_status.MailboxFacts) -> tuple[Finding, ...]:
    """Warn of a mailbox that is nearly full, before mail to it bounces."""
    shares = [
        quota.used / quota.limit
        for quota in (facts.octets, facts.message_quota)
        if quota and quota.limit
    ]
    share = max(shares, default=0.0)
    if share < _NEARLY_FULL:
        return ()
    full = share >= _FULL
    return (
        Finding(
            code=code_of(Reason.MAILBOX_NEARLY_FULL),
            severity=Severity.ERROR if full else Severity.WARNING,
            subject=facts.name,
            message=f"The mailbox is more than {95 if full else 85} percent full: delete messages "
            "or raise its quota before mail to it is refused.",
        ),
    )


async def _backfill(view: AccountView) -> emailaccount_status.LastBackfill | None:
    """Look back once for each new value of the annotation."""
    nonce, last = view.resource.metadata.backfill, view.resource.status.last_backfill
    if nonce is None or (last is not None and last.nonce == nonce):
        return last
    now = view.world.now()
    receiver = correspondents.own_receiver(view)
    if not isinstance(receiver, correspondents.Receiver):
        return _refused(nonce, now, receiver)
    login = await correspondents.login_for(receiver.attempt, view.world)
    if isinstance(login, Answer):
        return _refused(nonce, now, correspondents.Obstacle(login.reason, login.message))
    since = (now - timedelta(days=view.resource.spec.sync.backfill_days)).date()
    attempt = receiver.attempt
    counting = CountDays(attempt.mailbox, since)
    with view.memory.busy_at_mailbox(emailaccount_status.SyncPhase.BACKFILLING, now):
        report = await view.world.outbound.mail.perform(attempt.endpoint, login, counting)
    if report.session.stage is not ProbeStage.DONE:
        return _refused(
            nonce, now, correspondents.Obstacle(report.session.reason, report.session.message)
        )
    return _done(nonce, now, since, report)


def _refused(
    nonce: str, now: datetime, obstacle: correspondents.Obstacle | None
) -> emailaccount_status.LastBackfill:
    reason = obstacle.reason if obstacle else Reason.NOT_ATTEMPTED
    message = obstacle.message if obstacle else "The account reads no mailbox: set spec.imap."
    return emailaccount_status.LastBackfill(
        nonce=nonce,
        phase=emailaccount_status.BackfillPhase.REFUSED,
        time=timestamp(now),
        reason=reason.value,
        message=shorten(f"{message} Then ask for the backfill with a new value."),
    )


def _done(
    nonce: str, now: datetime, since: date, report: HistoryReport
) -> emailaccount_status.LastBackfill:
    # Of the day that began during the look, as of those to come, a later one tells.
    days = {day: count for day, count in sorted(report.days.items()) if since <= day <= now.date()}
    total = sum(days.values())
    bounded = "" if report.complete else " There are more than postroom counts."
    return emailaccount_status.LastBackfill(
        nonce=nonce,
        phase=emailaccount_status.BackfillPhase.DONE,
        time=timestamp(now),
        reason=Reason.SUCCEEDED.value,
        message=f"{total} messages arrived since {since.isoformat()}.{bounded}",
        messages=total,
        duplicates=report.duplicates,
        complete=report.complete,
        days=[
            emailaccount_status.DayCount(date=day.isoformat(), messages=count)
            for day, count in days.items()
        ],
    )
