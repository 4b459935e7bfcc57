# SPDX-License-Identifier: Apache-2.0
"""From stored objects to a report: each on its own, then what stands in the way of what."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import postroom
from postroom.api.conditions import ConditionType
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.times import timestamp
from postroom.report import problems, shape, turns, untrusted, waiting

_PLAIN = re.compile(r"[^A-Za-z0-9._-]")
_KINDS = list(Kind)
#: Reason of a condition, which is the code of a finding in upper case, and what then is waited for.
_AWAITED = {
    each: kind
    for reason, kind in (
        (Reason.MAIL_SERVER_NOT_READY, Kind.MAIL_SERVER),
        (Reason.SENDING_DOMAIN_NOT_READY, Kind.SENDING_DOMAIN),
        (Reason.RECEIVER_NOT_READY, Kind.EMAIL_ACCOUNT),
    )
    for each in (reason.value, reason.name)
}


def report_of(
    objects: Iterable[Mapping[str, Any]], source: shape.ReportSource, now: datetime
) -> shape.EmailReport:
    """Make a report of objects as the API server holds them; what is not of our kinds is not seen.

    Of an object that is there twice the last one counts.
    """
    found: dict[shape.Place, Mapping[str, Any]] = {}
    for raw in objects:
        place = _place(raw)
        if place is not None:
            found[place] = raw
    names = _named(found)
    reported = {place: object_of(names[place], raw, source) for place, raw in found.items()}
    behind = {
        place: [
            names.get(other) or unreported(other)
            for other in awaited(place, found[place], [problem.code for problem in each.problems])
        ]
        for place, each in reported.items()
    }
    waiting_for: dict[shape.Place, list[shape.ReportedName]] = defaultdict(list)
    for place, others in behind.items():
        for each in others:
            waiting_for[each.kind, each.namespace, each.name].append(names[place])
    linked = [
        linked_with(each, behind[place], waiting_for.get(place, ()))
        for place, each in reported.items()
    ]
    linked.sort(key=lambda each: rank(each.turn, (each.kind, each.namespace, each.name)))
    counted = Counter(each.turn for each in linked)
    return shape.EmailReport(
        made=timestamp(now),
        made_by=f"postroom {postroom.__version__}",
        source=source,
        namespaces=sorted({each.namespace for each in linked}),
        counts=shape.ReportCounts(
            total=len(linked), turns={turn: counted[turn] for turn in shape.TURNS if counted[turn]}
        ),
        objects=linked,
    )


def is_ours(raw: object) -> bool:
    """Whether a report has a place for it: an object of one of our kinds that has a name."""
    return _place(untrusted.mapping(raw)) is not None


def _place(raw: Mapping[str, Any]) -> shape.Place | None:
    """Kind, namespace and name; None where it is no object of ours."""
    metadata = untrusted.mapping(raw.get("metadata"))
    kind, name = untrusted.text(raw.get("kind")), untrusted.text(metadata.get("name"))
    if kind not in _KINDS or not name:
        return None
    return kind, untrusted.text(metadata.get("namespace"), untrusted.NAME), name


def rank(turn: shape.Turn, place: shape.Place) -> tuple[int, str, int, str]:
    """Where an object stands among others: by turn, then namespace, kind and name."""
    kind, namespace, name = place
    return shape.TURNS.index(turn), namespace, _KINDS.index(Kind(kind)), name


def linked_with(
    each: shape.ReportedObject,
    behind: Sequence[shape.ReportedName],
    holds_up: Iterable[shape.ReportedName],
) -> shape.ReportedObject:
    """An object with what it waits for, and what waits for it."""
    waiting = sorted(holds_up, key=lambda other: (other.namespace, other.name))
    return each.model_copy(update={"behind": list(behind), "holds_up": waiting})


def unreported(place: shape.Place) -> shape.ReportedName:
    """The name of what is not in the report."""
    kind, namespace, name = place
    return shape.ReportedName(kind=kind, namespace=namespace, name=name, anchor="")


def anchor_of(place: shape.Place) -> str:
    """A fragment that reads like the name; those of all names that Kubernetes allows differ."""
    kind, namespace, name = place
    return "/".join(_PLAIN.sub(_spelled, part) for part in (kind.lower(), namespace, name))


def _named(places: Iterable[shape.Place]) -> dict[shape.Place, shape.ReportedName]:
    """Names with a fragment each: it reads like the name, and no two are the same."""
    names, taken = dict[shape.Place, shape.ReportedName](), set[str]()
    for kind, namespace, name in places:
        anchor = wanted = anchor_of((kind, namespace, name))
        again = 1
        while anchor in taken:
            again += 1
            anchor = f"{wanted}~{again}"
        taken.add(anchor)
        names[kind, namespace, name] = shape.ReportedName(
            kind=kind, namespace=namespace, name=name, anchor=anchor
        )
    return names


def _spelled(match: re.Match[str]) -> str:
    return f"~{ord(match[0]):x}"


def object_of(
    named: shape.ReportedName, raw: Mapping[str, Any], source: shape.ReportSource
) -> shape.ReportedObject:
    """What is told of an object by itself; see `linked_with` for the rest."""
    kind, spec = Kind(named.kind), untrusted.mapping(raw.get("spec"))
    reader = problems.Reader(kind, raw, source)
    status, outlook = reader.status, reader.outlook
    told = reader.problems()
    turn = turns.of_object(outlook, told)
    # Of files nobody waits for anything: they are looked at once.
    kept = source is not shape.ReportSource.FILES
    deadline = None
    if kept and turn in (shape.Turn.YOURS, shape.Turn.SPREADING, shape.Turn.RETRIED):
        deadline = waiting.deadline_of(kind, spec, status)
    ready = turns.conditions(status).get(ConditionType.READY, {})
    inbound = untrusted.mapping(status.get("inbound"))
    return shape.ReportedObject(
        **named.model_dump(),
        title=title_of(kind, spec, status) or named.name,
        turn=turn,
        ready=outlook.ready,
        reason=outlook.reason,
        # What else there is to say, the problems say: nothing is not Ready without one.
        message="It was changed after postroom last looked at it." if outlook.outdated else "",
        problems=told,
        records=reader.records(),
        behind=[],
        holds_up=[],
        dns_host=untrusted.text(status.get("dnsHost"), untrusted.NAME),
        zone=untrusted.text(status.get("zone"), untrusted.NAME),
        checked=_stamp(untrusted.moment(status.get("lastCheckTime"))),
        since=_stamp(untrusted.moment(ready.get("lastTransitionTime"))) if kept else None,
        deadline=_stamp(deadline),
        takes=waiting.of_object(turn, reader.interval, source),
        waiting=untrusted.count(inbound.get("waiting")),
        handed_over=_stamp(untrusted.moment(inbound.get("deliveredAt"))),
        passed_by=untrusted.count(inbound.get("rejected")) or 0,
    )


def _stamp(moment: datetime | None) -> str | None:
    return timestamp(moment) if moment is not None else None


def title_of(kind: Kind, spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """What people call it."""
    match kind:
        case Kind.SENDING_DOMAIN:
            return untrusted.text(spec.get("domain"), untrusted.NAME)
        case Kind.EMAIL_ACCOUNT:
            return untrusted.text(spec.get("address") or status.get("address"), untrusted.NAME)
        case Kind.MAIL_SERVER:
            named = status.get("endpoint") or spec.get("host") or spec.get("provider")
            return untrusted.text(named, untrusted.NAME)


def awaited(place: shape.Place, raw: Mapping[str, Any], codes: Iterable[str]) -> list[shape.Place]:
    """What an object waits for, where the code of a problem says that it does."""
    kinds = {_AWAITED[code] for code in codes if code in _AWAITED}
    return [
        (kind.value, namespace, name)
        for kind in sorted(kinds)
        for namespace, name in _stands_on(kind, place, raw)
    ]


def _stands_on(kind: Kind, place: shape.Place, raw: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Namespace and name of what an account uses of a kind."""
    spec, status = untrusted.mapping(raw.get("spec")), untrusted.mapping(raw.get("status"))
    used = [
        (
            untrusted.text(each.get("namespace"), untrusted.NAME) or place[1],
            untrusted.text(each.get("name"), untrusted.NAME),
        )
        for each in untrusted.mappings(status.get("resolvedRefs"), 16)
        if each.get("kind") == kind and each.get("name")
    ]
    if kind is Kind.MAIL_SERVER and not used:
        reference = untrusted.mapping(spec.get("serverRef"))
        name = untrusted.text(status.get("serverName") or reference.get("name"), untrusted.NAME)
        apart = status.get("serverNamespace") or reference.get("namespace")
        return [(untrusted.text(apart, untrusted.NAME) or place[1], name)] if name else ()
    return used
