# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is: told by what was found, not by how a status calls the wait for it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from postroom.api.conditions import ConditionStatus, ConditionType
from postroom.api.findings import FixAction, Severity
from postroom.api.reasons import Reason
from postroom.api.sendingdomain_status import RecordState
from postroom.report import shape, untrusted

#: What passes by itself, or is over with the next look that gets through.
_PASSING = frozenset(
    {
        Reason.PROGRESSING,
        Reason.PROGRESSING_WITH_RETRY,
        Reason.OBSERVATION_STALE,
        Reason.INTERNAL_ERROR,
        Reason.LOOKUP_FAILED,
        Reason.DEPENDENCY_UNKNOWN,
        Reason.PROBE_INCONCLUSIVE,
        Reason.RESOURCES_EXHAUSTED,
        Reason.NOT_ATTEMPTED,
        Reason.CREDENTIALS_ELSEWHERE,
        Reason.TEMPORARY_FAILURE,
        Reason.SERVICE_UNAVAILABLE,
        Reason.SERVER_THROTTLED,
        Reason.HOST_AUTH_COOLDOWN,
        Reason.AWAITING_PUBLISHER,
        Reason.AWAITING_MESSAGE,
        Reason.SEND_LIMIT_EXCEEDED,
        Reason.OAUTH_ENDPOINT_UNAVAILABLE,
        Reason.OAUTH_THROTTLED,
    }
)
#: What is the business of another object, which is mended on its own.
_BEHIND = frozenset(
    {Reason.MAIL_SERVER_NOT_READY, Reason.SENDING_DOMAIN_NOT_READY, Reason.RECEIVER_NOT_READY}
)
#: What is not known of incoming mail until somebody does something about who hands it over.
_OF_WORKERS = frozenset({Reason.WORKER_ABSENT, Reason.WORKER_UNKNOWN})
_BY_REASON: Mapping[str, shape.Turn] = {
    **dict.fromkeys(_PASSING, shape.Turn.RETRIED),
    **dict.fromkeys(_BEHIND, shape.Turn.BEHIND),
    Reason.RESOLVERS_DISAGREE: shape.Turn.SPREADING,
    Reason.PENDING: shape.Turn.UNSEEN,
}
#: The code of a finding that tells a condition is its reason in upper case.
_BY_CODE = {Reason(reason).name: turn for reason, turn in _BY_REASON.items()}
_BY_STATE = {
    RecordState.PROPAGATING.value: shape.Turn.SPREADING,
    RecordState.UNKNOWN.value: shape.Turn.RETRIED,
}
_TOLD = ("status", "reason")


class Undelivered(NamedTuple):
    """What keeps incoming mail from its application, as the condition says it."""

    state: str
    reason: str
    message: str


class Outlook(NamedTuple):
    """What the conditions of an object say of it as a whole."""

    ready: str
    reason: str
    message: str
    stalled: bool
    resting: bool
    #: All of this is of an earlier spec.
    outdated: bool
    #: Beside Ready; None: all is handed over, or none is to be.
    undelivered: Undelivered | None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "Outlook":
        """Read it; an object that has no conditions was not looked at."""
        status = untrusted.mapping(raw.get("status"))
        found = conditions(status)
        generation = untrusted.mapping(raw.get("metadata")).get("generation")
        ready = found.get(ConditionType.READY, {})
        delivering = found.get(ConditionType.INBOUND_DELIVERING)
        undelivered = None
        if delivering is not None and not _holds(delivering):
            state, reason = (untrusted.text(delivering.get(name), untrusted.NAME) for name in _TOLD)
            undelivered = Undelivered(state, reason, untrusted.text(delivering.get("message")))
        return cls(
            untrusted.text(ready.get("status"), untrusted.NAME),
            untrusted.text(ready.get("reason"), untrusted.NAME),
            untrusted.text(ready.get("message")),
            _holds(found.get(ConditionType.STALLED)),
            _holds(found.get(ConditionType.SUSPENDED)),
            generation is not None and generation != status.get("observedGeneration"),
            undelivered,
        )

    @property
    def works(self) -> bool:
        return self.ready == ConditionStatus.TRUE


def conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The conditions of a status by type."""
    found = untrusted.mappings(status.get("conditions"), 64)
    return {untrusted.text(each.get("type"), untrusted.NAME): each for each in found}


def _holds(condition: Mapping[str, Any] | None) -> bool:
    return condition is not None and condition.get("status") == ConditionStatus.TRUE


def of_reason(reason: str) -> shape.Turn:
    """Whose turn it is where a condition alone tells of it."""
    return _BY_REASON.get(reason, shape.Turn.YOURS)


def of_delivery(told: Undelivered) -> shape.Turn:
    """Whose turn it is where incoming mail does not reach its application."""
    passing = told.state == ConditionStatus.UNKNOWN and told.reason not in _OF_WORKERS
    return shape.Turn.RETRIED if passing else of_reason(told.reason)


def of_finding(finding: Mapping[str, Any], states: Mapping[str, str]) -> shape.Turn:
    """Whose turn it is with a cause; `states` are those of the records, by id."""
    by_state = _BY_STATE.get(states.get(untrusted.text(finding.get("subject")), ""))
    if by_state is not None:
        return by_state
    named = _BY_CODE.get(untrusted.text(finding.get("code"), untrusted.NAME))
    if named is not None:
        return named
    waits = untrusted.mapping(finding.get("fix")).get("action") == FixAction.WAIT
    return shape.Turn.RETRIED if waits else shape.Turn.YOURS


def of_object(outlook: Outlook, problems: Iterable[shape.ReportedProblem]) -> shape.Turn:
    """Whose turn it is with an object as a whole."""
    if outlook.outdated:
        return shape.Turn.UNSEEN
    if outlook.resting:
        return shape.Turn.RESTING
    serious = [problem for problem in problems if problem.severity != Severity.INFO]
    if outlook.works and outlook.undelivered is not None:
        return of_delivery(outlook.undelivered)
    if outlook.works:
        return shape.Turn.ADVISED if serious else shape.Turn.NOBODY
    if outlook.stalled:
        return shape.Turn.YOURS
    if not outlook.ready or outlook.reason == Reason.PENDING:
        return shape.Turn.UNSEEN
    errors = [problem for problem in serious if problem.severity == Severity.ERROR]
    turns = [problem.turn for problem in errors or serious] or [of_reason(outlook.reason)]
    return min(turns, key=shape.TURNS.index)
