# SPDX-License-Identifier: Apache-2.0
"""Which of the objects that ``spec.default`` marks is the default of its namespace.

The newest mark wins, whoever carries it: `status.defaultSince` tells since when it stands, ties go
to the younger object, then to the name that sorts first. Nobody's spec is touched: who loses says
so, and works on under its own name. Everything follows from specs and stored statuses, so that the
order of evaluation and a restart change nothing.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from postroom.api.conditions import ConditionType, Verdict, find, place
from postroom.api.findings import Finding, Severity
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.resource import (
    MAPPINGS,
    AnyResource,
    EmailAccount,
    InvalidSpec,
    MailServer,
    parse,
)
from postroom.api.status import MarkedStatus
from postroom.api.times import is_far_ahead, time_of, timestamp
from postroom.reconcile.indexes import DEFAULT, by_server
from postroom.reconcile.status.assessment import failed, passed, worst_first
from postroom.reconcile.status.outcome import Outcome
from postroom.reconcile.world import World

#: Kinds of which a namespace has a default.
Marked = MailServer | EmailAccount

_TICK = timedelta(seconds=1)  # what status tells times to


@dataclass(frozen=True, slots=True)
class Standing:
    """Since when an object's mark stands, and whose mark is the newest of its namespace."""

    since: str
    winner: str


def newest(marked: Sequence[AnyResource]) -> Marked | None:
    """Return the one of these whose mark is the newest.

    One that was set just now, so that no status tells of it yet, is newer than all others.
    """

    def rank(resource: Marked) -> tuple[bool, str, str]:
        since = _marked_since(resource)
        return since is None, since or "", resource.metadata.creation_timestamp

    ordered = sorted(marked, key=lambda resource: resource.metadata.name)
    return max((cast("Marked", resource) for resource in ordered), key=rank, default=None)


def as_marked(resource: Marked, others: Sequence[AnyResource], now: datetime) -> AnyResource:
    """Return a marked object whose status tells since when it is, as the next one will."""
    since = _marked_since(resource) or _newer_than(others, now)
    status = resource.status.model_copy(update={"default_since": since})
    return replace(cast("AnyResource", resource), status=status)


async def standing_of(resource: Marked, world: World) -> Standing | None:
    """Where an object stands among those of its namespace that are marked; None: it is not."""
    if not resource.spec.default:
        return None
    name, namespace = resource.metadata.name, resource.metadata.namespace
    marked = await world.find(resource.kind, namespace, DEFAULT)
    others = [other for other in marked if other.metadata.name != name]
    mine = as_marked(resource, others, world.now())
    since = _in_time(cast("Marked", mine), others, world.now())
    winner = newest((*others, mine))
    return Standing(since, winner.metadata.name if winner is not None else name)


async def keys_behind(server: MailServer, world: World) -> list[Key]:
    """Return which accounts send through a server, whether they name it or not, of other
    namespaces too: without typing those of its own, which may be thousands."""
    name, namespace = server.metadata.name, server.metadata.namespace
    kind, standing = Kind.EMAIL_ACCOUNT, await standing_of(server, world)
    names = list(world.names_under(kind, namespace, by_server(name)))
    if standing is not None and standing.winner == name:
        names += world.names_under(kind, namespace, by_server(None))
    found = [Key(kind, namespace, each) for each in names]
    for account in await world.find_everywhere(Kind.EMAIL_ACCOUNT, by_server(name, namespace)):
        place, spec = account.metadata.namespace, cast("EmailAccount", account).spec
        admitted = server.spec.allowed_namespaces.admit(place)
        signs_in = spec.signs_in or not server.spec.signs_in
        lent = server.spec.grant_for(spec.address, place, namespace)
        if place == namespace or (admitted and (signs_in or lent is not None)):
            found.append(account.key)
    return found


async def accounts_behind(server: MailServer, world: World) -> list[EmailAccount]:
    """Return the accounts that send through a server."""
    found = [await world.get(*key) for key in await keys_behind(server, world)]
    return [cast("EmailAccount", account) for account in found if account is not None]


async def told(kind: Kind, raw: Mapping[str, Any], outcome: Outcome, world: World) -> Outcome:
    """Return an outcome that tells whether the object is the default, whatever became of it.

    A spec that cannot be understood marks nothing.
    """
    status = outcome.status
    spec = raw.get("spec")
    asked = isinstance(spec, MAPPINGS) and spec.get("default")
    if not isinstance(status, MarkedStatus) or not (asked or _tells_of_a_mark(status)):
        # Most objects carry no mark, nor did: theirs says so already.
        return outcome
    fields: dict[str, object] = {"is_default": False, "default_since": None}
    conditions = [each for each in status.conditions if each.type is not ConditionType.DEFAULT]
    findings = tuple(
        finding for finding in status.findings if finding.code != Reason.SUPERSEDED.name
    )
    resource, standing = None, None
    if asked:
        with suppress(InvalidSpec):
            resource = cast("Marked", parse(kind, raw))
            standing = await standing_of(resource, world)
    if resource is not None and standing is not None:
        verdict = _verdict(kind, resource.metadata.name, standing)
        fields = {"is_default": verdict.passed, "default_since": standing.since}
        before, generation = resource.status.conditions, status.observed_generation
        conditions += place([verdict], before, generation, timestamp(world.now()))
        order = list(ConditionType)
        conditions.sort(key=lambda condition: order.index(condition.type))
        findings += _findings(verdict)
    fields["conditions"] = tuple(conditions)
    fields["findings"] = worst_first(findings)
    return replace(outcome, status=status.model_copy(update=fields))


def _tells_of_a_mark(status: MarkedStatus) -> bool:
    """Whether a status says anything but that its object is no default."""
    silent = status.is_default is False and status.default_since is None
    return not silent or find(status.conditions, ConditionType.DEFAULT) is not None


def mark_of(status: Mapping[str, Any]) -> object:
    """Since when a stored status marks an object, and what tells whether it can serve as one."""
    if status.get("defaultSince") is None:
        return None
    sender, bound = status.get("effectiveSender") or {}, status.get("binding") or {}
    refused = any(
        condition.get("type") == ConditionType.BINDING_READY
        and condition.get("reason") == Reason.REFERENCE_NOT_PERMITTED
        for condition in status.get("conditions") or ()
    )
    sends = bool(sender.get("address"))
    return status["defaultSince"], sends, bound.get("defaultName"), refused


def _marked_since(resource: Marked) -> str | None:
    """Return since when the mark of a stored object stands; None: it was set just now.

    A mark that came with the object is as old as that, and so, for all that is known, is one that
    was there before anybody looked.
    """
    status: MarkedStatus = resource.status
    metadata = resource.metadata
    if status.default_since is not None:
        return status.default_since
    if metadata.generation > 1 and status.observed_generation >= 0:
        return None
    created = metadata.creation_timestamp
    return created if time_of(created) is not None else None


def _newer_than(others: Sequence[AnyResource], now: datetime) -> str:
    """Return the time of a mark that is set now, later than others, whatever our clock shows."""
    known = [time_of(_marked_since(cast("Marked", other))) for other in others]
    latest = max((moment for moment in known if moment is not None), default=None)
    return timestamp(now if latest is None else max(now, latest + _TICK))


def _in_time(mine: Marked, others: Sequence[AnyResource], now: datetime) -> str:
    """Return since when a mark stands, of now where a clock that was wrong told a time that is far
    ahead.

    That is never told of a mark before it was told of those that were set earlier: who is the
    newest is the same in between.
    """
    since = _marked_since(mine) or timestamp(now)
    earlier = [other for other in others if newest((other, cast("AnyResource", mine))) is mine]
    ahead = [
        each
        for each in (_marked_since(cast("Marked", other)) for other in earlier)
        if each is not None and is_far_ahead(each, timestamp(now))
    ]
    return _newer_than(earlier, now) if is_far_ahead(since, timestamp(now)) and not ahead else since


def _verdict(kind: Kind, name: str, standing: Standing) -> Verdict:
    condition = ConditionType.DEFAULT
    is_server = kind is Kind.MAIL_SERVER
    if standing.winner == name:
        role = (
            "Accounts of this namespace that name no server send through it."
            if is_server
            else "It is the default account of this namespace."
        )
        return passed(condition, Reason.NEWEST_DEFAULT, role)
    follow = ", and accounts that name no server follow that one" if is_server else ""
    return failed(
        condition,
        Reason.SUPERSEDED,
        f"{kind.value} {standing.winner} was made the default later{follow}; this one works on "
        "under its own name. Take spec.default from the one that is not to be the default.",
    )


def _findings(verdict: Verdict) -> tuple[Finding, ...]:
    """The same for those who read findings."""
    if verdict.passed:
        return ()
    return (
        Finding(
            code=Reason.SUPERSEDED.name,
            severity=Severity.INFO,
            subject="default",
            message=verdict.message,
        ),
    )
