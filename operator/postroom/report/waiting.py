# SPDX-License-Identifier: Apache-2.0
"""How long it takes: what happens next, when, and until when it may."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from postroom.api.conditions import ConditionType
from postroom.api.emailaccount import Sync
from postroom.api.fields import parse_duration
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Kind
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.report import shape, turns, untrusted

#: What is kept for longer is told by its TTL.
_LONGEST = timedelta(days=1)
_AGAIN = "Then make this report anew: nothing looks again by itself."


def interval_of(kind: Kind, spec: Mapping[str, Any]) -> str:
    """How often an object is looked at, as its spec says it, or by default."""
    place, default = spec, SendingDomainSpec.model_fields["interval"].default
    if kind is Kind.MAIL_SERVER:
        default = MailServerSpec.model_fields["interval"].default
    elif kind is Kind.EMAIL_ACCOUNT:
        place, default = untrusted.mapping(spec.get("sync")), Sync.model_fields["interval"].default
    return _spoken(_duration(place.get("interval"), default))


def _duration(value: object, default: timedelta) -> timedelta:
    try:
        return parse_duration(value)
    except ValueError:
        return default


def _spoken(length: timedelta) -> str:
    """A length of time in words: 1 hour 30 minutes."""
    total = int(length.total_seconds())
    parts = ((total // 3600, "hour"), (total // 60 % 60, "minute"), (total % 60, "second"))
    said = (f"{count} {word}{'s' * (count != 1)}" for count, word in parts if count)
    return " ".join(said) or "a moment"


def deadline_of(kind: Kind, spec: Mapping[str, Any], status: Mapping[str, Any]) -> datetime | None:
    """Until when the first success of a domain is waited for; None: for ever, or it is over."""
    reconciling = turns.conditions(status).get(ConditionType.RECONCILING, {})
    since = untrusted.moment(reconciling.get("lastTransitionTime"))
    if kind is not Kind.SENDING_DOMAIN or since is None:
        return None
    default = SendingDomainSpec.model_fields["propagation_deadline"].default
    allowed = _duration(spec.get("propagationDeadline"), default)
    try:
        return since + allowed if allowed > timedelta() else None
    except OverflowError:
        return None


def of_problem(
    problem: shape.ReportedProblem,
    interval: str,
    source: shape.ReportSource,
    cached: int | None = None,
) -> str:
    """How long it takes until a change counts, or until postroom looks again; `cached` is for how
    many seconds caches keep the old answer, None where that is not known."""
    looked = source is shape.ReportSource.FILES
    if problem.publish is not None or problem.remove:
        known = "for as long as its TTL says"
        if cached is not None and timedelta(seconds=cached) <= _LONGEST:
            known = f"for at most {_spoken(timedelta(seconds=cached))}"
        begin = (
            "Most DNS hosts show a change within minutes; who asked before may remember the old "
            f"answer {known}."
        )
        if looked:
            return f"{begin} {_AGAIN}"
        return f"{begin} postroom looks again by itself, at first every few minutes, then rarely."
    if problem.turn is shape.Turn.YOURS:
        if looked:
            return _AGAIN
        return (
            "A change of the object itself counts at once, anything else at the next look, "
            f"within {interval}."
        )
    return ""


def of_object(turn: shape.Turn, interval: str, source: shape.ReportSource) -> str:
    """What happens next with an object, and when."""
    if source is shape.ReportSource.FILES:
        return _OF_A_LOOK.get(turn, "")
    match turn:
        case shape.Turn.SPREADING:
            return "Nothing to do: postroom looks again by itself until all resolvers show it."
        case shape.Turn.RETRIED:
            return f"Nothing to do now: postroom looks again by itself, within {interval}."
        case shape.Turn.BEHIND:
            return "Nothing to do here: it goes on by itself once that works."
        case shape.Turn.UNSEEN:
            return "postroom looks within seconds. If this stays, ask whoever runs postroom."
        case _:
            return ""


_OF_A_LOOK = {
    shape.Turn.SPREADING: "Nothing to do but wait; then make this report anew.",
    shape.Turn.RETRIED: "The look did not get through: make this report anew in some minutes.",
    shape.Turn.BEHIND: "Nothing to do here: mend what it waits for.",
    shape.Turn.UNSEEN: "Nobody has looked at it yet.",
}
