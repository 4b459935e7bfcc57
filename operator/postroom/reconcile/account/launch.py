# SPDX-License-Identifier: Apache-2.0
"""The launch checklist: what is to be done before applications use an account, as a pure function
of its spec and of what status knows of it."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from postroom.api import launch
from postroom.api.account_messages import (
    ForwardingState,
    ForwardingVerdict,
    MessageBasis,
    MessageOutcome,
    MessageResult,
)
from postroom.api.conditions import Condition, ConditionStatus, ConditionType, find, shorten
from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EffectiveSender, EmailAccountStatus
from postroom.api.launch import LaunchItem, LaunchState
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount
from postroom.api.times import no_later, timestamp
from postroom.reconcile.account.sender import SENDING
from postroom.reconcile.status.assessment import READING

_DONE, _OPEN = LaunchState.DONE, LaunchState.OPEN
_UNKNOWN, _NOT_NEEDED = LaunchState.UNKNOWN, LaunchState.NOT_NEEDED
_SENT = frozenset(
    {MessageOutcome.ACCEPTED, MessageOutcome.DELIVERED, MessageOutcome.DELIVERED_TO_SPAM}
)
_NOT_SENT = frozenset({MessageOutcome.FAILED, MessageOutcome.NOT_DELIVERED})
#: Warnings that answers go elsewhere.
_ANSWERS = frozenset({"REPLY_TO_DROPPED", "REPLY_TO_CHANGED"})
#: Why a message was not even tried: that says nothing of whether the account can send.
_UNTRIED = frozenset({Reason.RECIPIENT_NOT_ALLOWED.value, Reason.DISCONNECTED.value})
_TEST = "Send a test message: kubectl postroom test, or the annotation postroom.dev/send-test."
_UNTESTED = f"No message went out since spec, server or credentials changed. {_TEST}"
_NO_MESSAGES = "Nothing was sent: postroom sends messages only where it keeps a status."


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an account besides its spec.

    `sender` is as whom it sends as far as domains tell. `results` are what became of messages that
    were sent as it, latest first; `under_way` tells of a test message whose end is not there yet.
    `basis` is what a message would be sent with now; None where none was sent that it could be held
    against. `may_send` tells whether messages of postroom's own are sent at all.
    """

    conditions: Sequence[Condition]
    sender: EffectiveSender
    display_name: str | None
    results: tuple[MessageResult, ...]
    forwarding: ForwardingState | None
    basis: MessageBasis | None
    may_send: bool
    under_way: bool = False

    @property
    def last(self) -> MessageResult | None:
        """The last message that was tried, if it has come to an end."""
        tried = (result for result in self.results if result.reason not in _UNTRIED)
        return None if self.under_way else next(tried, None)


@dataclass(frozen=True, slots=True)
class Found:
    """How far an item is, and the sentence about it.

    `certain` is False where nothing was found out: then what was Done before stands.
    """

    state: LaunchState
    message: str
    certain: bool = True


#: By what is missing. Most statuses have one of them, and all of these keep one text.
_UNANSWERED = {
    missing: Found(_OPEN, f"Set {missing}: somebody has to be told when the account fails.")
    for missing in ("spec.owner", "spec.recoveryContact", "spec.owner and spec.recoveryContact")
}


def results_of(status: EmailAccountStatus) -> tuple[MessageResult, ...]:
    """What became of the last messages that were sent as an account, latest first."""
    states = (status.last_test, status.round_trip, status.forwarding)
    found = [state.result for state in states if state is not None and state.result is not None]
    return tuple(sorted(found, key=lambda result: result.time, reverse=True))


def checklist(
    spec: EmailAccountSpec,
    known: Known,
    backfill_limit: int,
    before: launch.Launch | None,
    now: datetime,
) -> launch.Launch:
    """Judge all items; `before` is the stored checklist, which tells since when."""
    basis = _tested_with(known, before)
    found = {
        **_of_spec(spec, backfill_limit),
        LaunchItem.SENDER_NAME: _sender_name(known.display_name or spec.display_name),
        LaunchItem.REPLY_ADDRESS: _answered(known.last, spec) or _reply_address(spec),
        LaunchItem.SEND_PROVEN: _send_proven(known),
        LaunchItem.RECEIVE_PROVEN: _receive_proven(spec, known),
        LaunchItem.DOMAIN_VERIFIED: _DOMAINS.get(known.sender.reason, _UNVERIFIED),
        LaunchItem.TEST_SINCE_LAST_CHANGE: _tested(known, basis),
    }
    return _placed(found, before, basis, now)


def at_rest(resource: EmailAccount, backfill_limit: int, now: datetime) -> launch.Launch:
    """The checklist of an account that is not looked at: what its spec alone tells, and else what
    was known before."""
    before = resource.status.launch
    entries = before.items if before is not None else []
    known = {entry.item: Found(entry.state, entry.message) for entry in entries}
    unseen = Found(_UNKNOWN, "Nothing is checked while the account is at rest.")
    found = {item: known.get(item, unseen) for item in LaunchItem}
    found |= _of_spec(resource.spec, backfill_limit)
    basis = before.basis if before is not None else None
    if basis is None or basis.generation != resource.metadata.generation:
        found[LaunchItem.TEST_SINCE_LAST_CHANGE] = Found(_OPEN, _UNTESTED)
    return _placed(found, before, basis, now)


def _placed(
    found: Mapping[LaunchItem, Found],
    before: launch.Launch | None,
    basis: MessageBasis | None,
    now: datetime,
) -> launch.Launch:
    earlier = {entry.item: entry for entry in before.items} if before is not None else {}
    moment = timestamp(now)
    entries: list[launch.LaunchEntry] = []
    for item in LaunchItem:
        judged, known = found[item], earlier.get(item)
        if known is not None and known.state is _DONE and not judged.certain:
            entries.append(known)
            continue
        stays = known is not None and known.state is judged.state
        since = no_later((known.since if known is not None and stays else None) or moment, moment)
        # Nobody waits for what does not concern the account, and each field costs a write more.
        told = since if judged.state is not _NOT_NEEDED else None
        entries.append(_entry(item, judged.state, told, judged.message))
    settled = [entry for entry in entries if entry.state in (_DONE, _NOT_NEEDED)]
    summary = f"{len(settled)}/{len(entries)}"
    return launch.Launch(summary=summary, items=entries, basis=basis)


#: Most are the same for all accounts that are judged in the same second.
@functools.lru_cache(maxsize=64)
def _entry(
    item: LaunchItem, state: LaunchState, since: str | None, message: str
) -> launch.LaunchEntry:
    return launch.LaunchEntry(item=item, state=state, since=since, message=shorten(message))


def _of_spec(spec: EmailAccountSpec, backfill_limit: int) -> dict[LaunchItem, Found]:
    """The items that the spec alone decides."""
    found = {
        LaunchItem.SENDER_NAME: _sender_name(spec.display_name),
        LaunchItem.OWNER_AND_RECOVERY_CONTACT: Found(_DONE, "Both are named."),
        LaunchItem.SMALL_BACKFILL: Found(
            _DONE, f"spec.sync.backfillDays is at most {backfill_limit}."
        ),
        LaunchItem.REPLY_ADDRESS: _reply_address(spec),
    }
    fields = {"spec.owner": spec.owner, "spec.recoveryContact": spec.recovery_contact}
    missing = [name for name, value in fields.items() if value is None]
    if missing:
        found[LaunchItem.OWNER_AND_RECOVERY_CONTACT] = _UNANSWERED[" and ".join(missing)]
    if spec.imap is None:
        message = "The account reads no mailbox."
        found[LaunchItem.SMALL_BACKFILL] = Found(_NOT_NEEDED, message)
    elif spec.sync.backfill_days > backfill_limit:
        message = f"Lower spec.sync.backfillDays to {backfill_limit} or less: begin with little."
        found[LaunchItem.SMALL_BACKFILL] = Found(_OPEN, message)
    return found


def _sender_name(name: str | None) -> Found:
    if name:
        return Found(_DONE, "Receivers see a name.")
    return Found(_OPEN, "Set spec.displayName: receivers see nothing but the address.")


def _reply_address(spec: EmailAccountSpec) -> Found:
    if spec.reply_to is not None:
        return Found(_DONE, "Answers go to spec.replyTo.")
    if spec.imap is not None or spec.forwarding is not None:
        return Found(_NOT_NEEDED, "Answers go to the address itself, whose mail is read.")
    message = "Set spec.replyTo: answers go to the address itself, and nothing here reads its mail."
    return Found(_OPEN, message)


def _answered(last: MessageResult | None, spec: EmailAccountSpec) -> Found | None:
    """What the last message showed of where answers go; None: nothing against it."""
    if last is None or last.reply_to != spec.reply_to:
        return None
    told = (warning.message for warning in last.warnings if warning.code in _ANSWERS)
    return next((Found(_OPEN, message) for message in told), None)


def _standing(conditions: Sequence[Condition], wanted: Sequence[ConditionType]) -> Found | None:
    """What keeps an account from something now; None: nothing does."""
    found = [each for kind in wanted if (each := find(conditions, kind)) is not None]
    for status, state in ((ConditionStatus.FALSE, _OPEN), (ConditionStatus.UNKNOWN, _UNKNOWN)):
        for condition in found:
            if condition.status is status:
                return Found(state, f"{condition.type.value}: {condition.message}")
    return None


def _send_proven(known: Known) -> Found:
    obstacle = _standing(known.conditions, SENDING)
    if obstacle is not None:
        return obstacle
    last = known.last
    if last is not None and last.outcome in _SENT:
        return Found(_DONE, "A message of postroom's went out.")
    if last is not None and last.outcome in _NOT_SENT:
        return Found(_OPEN, f"The last message did not arrive: {last.message}")
    return _unproven(known, last)


def _receive_proven(spec: EmailAccountSpec, known: Known) -> Found:
    if spec.forwarding is not None:
        return _forwarded(known)
    if spec.imap is None:
        return Found(_NOT_NEEDED, "The account reads no mailbox.")
    obstacle = _standing(known.conditions, READING)
    if obstacle is not None:
        return obstacle
    own = spec.address.lower()
    last = next((each for each in known.results if each.recipient.lower() == own), None)
    match last.outcome if last is not None and not known.under_way else None:
        case MessageOutcome.DELIVERED:
            return Found(_DONE, "A message of postroom's was found in the mailbox.")
        case MessageOutcome.DELIVERED_TO_SPAM | MessageOutcome.NOT_DELIVERED:
            why = last.message if last is not None else ""
            return Found(_OPEN, f"The last message was not received well: {why}")
    return _unproven(known, last)


def _forwarded(known: Known) -> Found:
    verdict = known.forwarding.verdict if known.forwarding is not None else None
    match verdict:
        case ForwardingVerdict.REDIRECTED:
            return Found(_DONE, "Mail to the address reaches the technical address as it was sent.")
        case ForwardingVerdict.REWRITTEN | ForwardingVerdict.NOT_ARRIVING:
            return Found(_OPEN, "Forwarding does not work: follow status.forwarding.steps.")
    message = "No message has shown yet whether mail to the address is forwarded."
    return Found(_UNKNOWN, message, certain=False)


def _unproven(known: Known, last: MessageResult | None) -> Found:
    if not known.may_send:
        return Found(_UNKNOWN, _NO_MESSAGES, certain=False)
    if known.under_way:
        return Found(_UNKNOWN, "A test message is on its way.", certain=False)
    if last is not None:
        message = f"What became of the last message is not known. {_TEST}"
        return Found(_UNKNOWN, message, certain=False)
    return Found(_OPEN, _TEST)


#: What the SendingDomain of the address comes to, by the reason of the effective sender.
_DOMAINS = {
    "DomainVerified": Found(_DONE, "The SendingDomain of the address is verified."),
    "NoDomain": Found(_NOT_NEEDED, "No SendingDomain of this namespace is for the address."),
    "DomainUnknown": Found(_UNKNOWN, "The state of the SendingDomain is not known yet."),
}
_UNVERIFIED = Found(_OPEN, "The SendingDomain of the address is not verified: read its status.")


def _tested_with(known: Known, before: launch.Launch | None) -> MessageBasis | None:
    """What the last message that went out was sent with; None where the last one did not.

    Of one that is under way, or that nobody knows the end of, nothing follows.
    """
    last = known.last
    if last is not None and last.outcome in _SENT:
        return last.basis
    if last is not None and last.outcome in _NOT_SENT:
        return None
    return before.basis if before is not None else None


def _tested(known: Known, basis: MessageBasis | None) -> Found:
    if basis is not None and basis == known.basis:
        return Found(_DONE, "A message went out with the present spec, server and credentials.")
    if not known.may_send:
        return Found(_UNKNOWN, _NO_MESSAGES)
    return Found(_OPEN, _UNTESTED)
