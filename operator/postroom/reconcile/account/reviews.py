# SPDX-License-Identifier: Apache-2.0
"""What is worth a second look at an account that works: pure functions of its spec, of what status
knows of it, and of the time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from postroom.api.conditions import Condition, ConditionStatus, find
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EmailAccountStatus, LastBackfill
from postroom.api.fields import format_duration
from postroom.api.findings import Finding, Severity
from postroom.api.times import parse_timestamp
from postroom.reconcile.account.steps import AccountView
from postroom.reconcile.signing_in import refresh_tokens
from postroom.reconcile.signing_in.references import Credentials, Written
from postroom.reconcile.status.assessment import READING

_DAY, _NOTHING = timedelta(days=1), timedelta()
#: One of so many that is there again is worth a word; some always are, as mail to a list and to
#: one of its members.
_MANY = 10
_ALWAYS = datetime.min.replace(tzinfo=UTC)
#: Longest subject of a finding.
_SUBJECT_LIMIT = 253


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on something is worth a look.

    `password_age`: how long a password may stay the same; zero: for ever. `sync_gap`: how long a
    mailbox may go unread. `backfill_days`: so many are a small look back.
    """

    password_age: timedelta = 365 * _DAY
    sync_gap: timedelta = _DAY
    backfill_days: int = 14


USUAL = Thresholds()


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What is looked at besides the spec.

    `passwords` are those that the account signs in with, `refresh_tokens` those of Microsoft that
    nobody replaces. `unread_since` is since when the mailbox was not read; None: nobody knows, or
    there is none. `looked_back` is the last look back.
    """

    passwords: tuple[Written, ...] = ()
    refresh_tokens: tuple[Written, ...] = ()
    unread_since: datetime | None = None
    looked_back: LastBackfill | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A finding, and from when on it holds; None: whatever the time is."""

    finding: Finding
    due: datetime | None = None


def reviewed(
    view: AccountView, status: EmailAccountStatus, conditions: Sequence[Condition]
) -> Reviewed:
    """Gather what is looked at; `status` is what this look found."""
    found = [view.smtp.credentials, view.imap.credentials]
    passwords = [each.written for each in found if isinstance(each, Credentials)]
    tokens = [refresh_tokens.left_alone(each) for each in found]
    return Reviewed(
        tuple(dict.fromkeys(each for each in passwords if each is not None)),
        tuple(dict.fromkeys(each for each in tokens if each is not None)),
        _unread_since(status, conditions) if view.resource.spec.imap is not None else None,
        status.last_backfill if view.resource.spec.imap is not None else None,
    )


def _unread_since(status: EmailAccountStatus, conditions: Sequence[Condition]) -> datetime | None:
    """When the mailbox was read last; of one that never was, since when it is known to fail."""
    if status.last_sync is not None:
        return parse_timestamp(status.last_sync)
    found = [each for kind in READING if (each := find(conditions, kind)) is not None]
    failing = [each for each in found if each.status is not ConditionStatus.TRUE]
    times = [parse_timestamp(each.last_transition_time) for each in failing]
    return min(times, default=None)


def reviews_of(spec: EmailAccountSpec, facts: Reviewed, limits: Thresholds) -> Iterator[Review]:
    """Everything that is, or with time becomes, worth a second look."""
    if spec.owner is None and spec.has_profile:
        message = "Set spec.owner: nobody answers for the account."
        yield Review(_finding("NO_OWNER", "owner", message))
    if spec.recovery_contact is None and spec.has_profile:
        message = "Set spec.recoveryContact: whom to turn to when nobody gets into the mailbox."
        yield Review(_finding("NO_RECOVERY_CONTACT", "recoveryContact", message))
    if spec.imap is not None and spec.sync.backfill_days > limits.backfill_days:
        message = (
            f"spec.sync.backfillDays is {spec.sync.backfill_days}: an application that imports so "
            f"much at once answers old mail anew. Lower it to {limits.backfill_days} or less."
        )
        yield Review(_finding("BACKFILL_LARGE", "sync.backfillDays", message))
    last = facts.looked_back
    if last is not None and _MANY * (last.duplicates or 0) >= (last.messages or 0) > 0:
        message = (
            f"Of the {last.messages} messages that the last look back found {last.duplicates} are "
            "there again under the same Message-ID: whoever imports them makes two of one. Remove "
            "what was copied twice, then ask for another backfill."
        )
        found = _finding("DUPLICATES_AFTER_BACKFILL", "lastBackfill", message, Severity.WARNING)
        yield Review(found)
    for password in facts.passwords if limits.password_age else ():
        message = (
            f"Key {password.key} of Secret {password.secret} has not been changed for "
            f"{_lasting(limits.password_age)}: set a new password at the provider and in the "
            "Secret, if its rules or yours ask for that."
        )
        subject = f"Secret/{password.secret}"[:_SUBJECT_LIMIT]
        yield Review(_finding("PASSWORD_OLD", subject, message), password.at + limits.password_age)
    for token in facts.refresh_tokens:
        yield Review(refresh_tokens.aging(token.secret), token.at + refresh_tokens.WORRY)
    if facts.unread_since is not None:
        message = (
            f"The mailbox has not been read for {_lasting(limits.sync_gap)}: mend what else is "
            "reported here."
        )
        finding = _finding("SYNC_OVERDUE", "sync", message, Severity.WARNING)
        yield Review(finding, facts.unread_since + limits.sync_gap)


def told(reviews: Iterable[Review], now: datetime) -> tuple[tuple[Finding, ...], timedelta | None]:
    """The findings that hold now, and how long until time alone adds one."""
    findings: dict[tuple[str, str], Finding] = {}
    waits: list[timedelta] = []
    # Of several about one subject the first to hold is told, and stays so.
    for review in sorted(reviews, key=lambda each: each.due or _ALWAYS):
        if review.due is None or review.due <= now:
            findings.setdefault((review.finding.code, review.finding.subject), review.finding)
        else:
            waits.append(review.due - now)
    return tuple(findings.values()), min(waits, default=None)


def _lasting(time: timedelta) -> str:
    return (
        f"{time // _DAY} days" if time > _DAY and time % _DAY == _NOTHING else format_duration(time)
    )


def _finding(code: str, subject: str, message: str, severity: Severity = Severity.INFO) -> Finding:
    return Finding(code=code, severity=severity, subject=subject, message=message)
