# SPDX-License-Identifier: Apache-2.0
"""How far an account is, as status has it: what `postroom deliver` writes, and reads at its start.

Two write an account's status: the operator has all of it but this part.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from postroom.api import inbound_delivery
from postroom.api.conditions import Condition, ConditionStatus, ConditionType, shorten
from postroom.api.reasons import Reason
from postroom.api.stored import readable
from postroom.api.times import parse_timestamp, timestamp
from postroom.delivery import cursors
from postroom.delivery.contract import Progress
from postroom.delivery.cursors import Cursor, Refused

CONDITION = ConditionType.INBOUND_DELIVERING
_WORKING = "Incoming mail is handed to {}."
_BEGINNING = "The mailbox is about to be read."
#: What a process that holds no Lease says in the place of a good verdict, which would not fall with
#: it.
LEASELESS = (
    "Whether `postroom deliver` is at work cannot be known: it holds no Lease. Run it with "
    "--leader-election, as is the default in a Pod."
)
#: No message came before or after that; what is reckoned with times needs room on both sides.
_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
#: What is counted on from, so that what is written fits (int64), whatever somebody wrote there.
_MOST = 2**52
#: What an application said last holds until it says something else, whoever asks.
_OF_APPLICATIONS = frozenset({Reason.CONSUMER_UNAVAILABLE, Reason.CONSUMER_REJECTS})


def written(
    progress: Progress,
    application: str,
    generation: int,
    before: Mapping[str, Any] | None,
    now: datetime,
    worker: str | None = None,
) -> dict[str, Any]:
    """Return the part of status that is ours; `before` is the condition that stands.

    `worker` names the Lease of this process, None where it has none.
    """
    inbound: dict[str, Any] = {
        "cursors": [
            *(_stored(progress.cursors[mailbox]) for mailbox in sorted(progress.cursors)),
            *map(dict, progress.unreadable.values()),
        ][: inbound_delivery.CURSORS_LIMIT],
    }
    if not progress.unreadable:
        # Otherwise it is not known, and no later start may take it for nothing: see `read`.
        inbound["waiting"] = progress.waiting
    if progress.delivered_at is not None:
        inbound["deliveredAt"] = timestamp(progress.delivered_at)
    if progress.rejected:
        inbound["rejected"] = progress.rejected
    if progress.last_rejected is not None:
        mailbox, uid, code = progress.last_rejected
        inbound["lastRejected"] = {"mailbox": mailbox, "uid": uid, "code": code}
    if worker is not None:
        inbound["worker"] = worker
    state, reason = verdict(progress, before, worker)
    message = progress.message or _WORKING.format(application)
    if reason is Reason.WORKER_UNKNOWN:
        message = LEASELESS if worker is None else str((before or {}).get("message"))
    return {
        "conditions": [condition(state, reason, message, generation, before, now)],
        "inbound": inbound,
    }


def verdict(
    progress: Progress, before: Mapping[str, Any] | None, worker: str | None
) -> tuple[ConditionStatus, Reason]:
    """Return status and reason of our condition.

    Without a Lease nothing that is good is said, since nobody would take it back. Where the
    operator has said that it cannot read ours, it is left to say so as long as nothing else is in
    the way.
    """
    if progress.reason is not None:
        state = ConditionStatus.FALSE if progress.sure else ConditionStatus.UNKNOWN
        return state, progress.reason
    if worker is None or (before or {}).get("reason") == Reason.WORKER_UNKNOWN.value:
        return ConditionStatus.UNKNOWN, Reason.WORKER_UNKNOWN
    return ConditionStatus.TRUE, Reason.DELIVERING


def condition(
    state: ConditionStatus,
    reason: Reason,
    message: str,
    generation: int,
    before: Mapping[str, Any] | None,
    now: datetime,
) -> dict[str, Any]:
    """Return our condition; the time of its last transition stays where its status does."""
    same = before is not None and before.get("status") == state.value
    since = str(before["lastTransitionTime"]) if same and before else timestamp(now)
    made = Condition(
        type=CONDITION,
        status=state,
        reason=reason,
        message=shorten(message),
        observed_generation=generation,
        last_transition_time=since,
    )
    return made.model_dump(mode="json", by_alias=True, exclude_none=True)


def part_of(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands of our part, as `written` makes it; nothing where there is nothing."""
    inbound, stands = _mapping(status.get("inbound")), condition_in(status)
    kept = {name: inbound[name] for name in inbound_delivery.PROGRESS_FIELDS if name in inbound}
    part: dict[str, Any] = {"conditions": [dict(stands)]} if stands is not None else {}
    return {**part, "inbound": kept} if kept else part


def condition_in(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return our condition as it stands, None where there is none."""
    conditions = status.get("conditions")
    for each in conditions if isinstance(conditions, list) else ():
        if isinstance(each, Mapping) and each.get("type") == CONDITION.value:
            return each
    return None


def read(status: Mapping[str, Any]) -> Progress:
    """Return how far an account is by its status; what cannot be read counts as absent.

    Only of a mailbox whose cursor is there and cannot be read that is not so: it would begin as a
    new one does, without what came meanwhile. What stood in the way holds until the mailbox was
    read, where an application said it; nothing else that was said before does.
    """
    inbound = _mapping(status.get("inbound"))
    found: dict[str, Cursor] = {}
    unreadable: dict[str, Mapping[str, object]] = {}
    stored, delivered_at = inbound.get("cursors"), _moment(inbound.get("deliveredAt"))
    # Where messages wait, others were handed over later than they came.
    all_until = delivered_at if inbound.get("waiting") == 0 else None
    for raw in map(_mapping, stored if isinstance(stored, list) else ()):
        mailbox = raw.get("mailbox")
        kept = readable(inbound_delivery.DeliveryCursor, raw)
        if kept is not None and (arrived_at := _moment(kept.arrived_at)):
            found[kept.mailbox] = _cursor(kept, arrived_at)
        elif isinstance(mailbox, str):
            if until := _moment(raw.get("arrivedAt")) or all_until:
                found[mailbox] = cursors.lost(mailbox, until, _moment(raw.get("since")))
            else:
                unreadable[mailbox] = raw
    last, rejected = inbound.get("lastRejected"), inbound.get("rejected")
    passed = readable(inbound_delivery.RejectedMessage, _mapping(last))
    progress = Progress(
        found,
        unreadable={name: raw for name, raw in unreadable.items() if name not in found},
        delivered_at=delivered_at,
        rejected=min(rejected, _MOST) if isinstance(rejected, int) else 0,
        last_rejected=(passed.mailbox, passed.uid, passed.code) if passed else None,
    )
    stands = condition_in(status)
    if stands is not None and stands.get("status") == ConditionStatus.TRUE.value:
        return progress
    reason = stands.get("reason") if stands is not None else None
    if stands is not None and reason in _OF_APPLICATIONS:
        return replace(progress, reason=Reason(str(reason)), message=str(stands.get("message")))
    return replace(progress, reason=Reason.PROGRESSING, message=_BEGINNING, sure=False)


def _moment(value: object) -> datetime | None:
    try:
        return min(max(parse_timestamp(str(value)), _EARLIEST), _LATEST)
    except ValueError:
        return None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _stored(cursor: Cursor) -> dict[str, Any]:
    kept = inbound_delivery.DeliveryCursor(
        mailbox=cursor.mailbox,
        uid_validity=cursor.uid_validity,
        uid=cursor.uid,
        arrived_at=timestamp(cursor.arrived_at),
        known_below=cursor.known_below or None,
        since=timestamp(cursor.since) if cursor.since is not None else None,
        may_repeat=cursor.may_repeat or None,
        refused=inbound_delivery.RefusedMessage(
            uid=cursor.refused.uid,
            since=timestamp(cursor.refused.since),
            attempts=cursor.refused.attempts,
            code=cursor.refused.status,
            by=cursor.refused.by or None,
        )
        if cursor.refused is not None
        else None,
        owner=cursor.owner or None,
        epoch=cursor.epoch or None,
        anew_at=timestamp(cursor.anew_at) if cursor.anew_at is not None else None,
    )
    return kept.model_dump(mode="json", by_alias=True, exclude_none=True)


def _cursor(kept: inbound_delivery.DeliveryCursor, arrived_at: datetime) -> Cursor:
    refused = kept.refused
    refused_since = _moment(refused.since) if refused is not None else None
    return Cursor(
        kept.mailbox,
        kept.uid_validity,
        kept.uid,
        arrived_at,
        kept.known_below or 0,
        _moment(kept.since),
        bool(kept.may_repeat),
        Refused(
            refused.uid,
            refused_since,
            min(refused.attempts, _MOST),
            refused.code,
            refused.by or "",
        )
        if refused is not None and refused_since is not None
        else None,
        kept.owner or "",
        min(kept.epoch or 0, _MOST),
        _moment(kept.anew_at),
    )
