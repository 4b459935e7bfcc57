# SPDX-License-Identifier: Apache-2.0
"""A page of a list of many objects: found by what is known of each, and read anew only for it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import postroom
from postroom.api.names import Kind
from postroom.api.times import timestamp
from postroom.report import page, problems, reading, shape, turns, untrusted
from postroom.report.query import NOT_READY, STATES, Query

#: Objects of a page.
PAGE = 100
#: Namespaces from which on they are typed, not chosen; and pages beside the shown one with a link.
_CHOSEN, _NEAR = 200, 3
_SOURCE = shape.ReportSource.OPERATOR

Get = Callable[[shape.Place], Mapping[str, Any] | None]


class _Found(NamedTuple):
    """What is asked for of a list."""

    #: Whatever their state, and those in the state asked for, in order.
    matching: Sequence[shape.Listed]
    chosen: Sequence[shape.Listed]
    counts: Mapping[shape.Turn, int]


def listed(kind: Kind, namespace: str, name: str, raw: Mapping[str, Any]) -> shape.Listed:
    """What there is to know of an object to find it, and to tell whose turn it is."""
    place = (kind.value, namespace, name)
    reader = problems.Reader(kind, raw, _SOURCE)
    told = reader.problems()
    turn = turns.of_object(reader.outlook, told)
    spec = untrusted.mapping(raw.get("spec"))
    title = reading.title_of(kind, spec, reader.status) or name
    codes = [each.code for each in told]
    host = untrusted.text(reader.status.get("dnsHost"), untrusted.NAME)
    words = (f"{kind.value} {namespace}/{name}", title, reader.outlook.reason, *codes, host)
    return shape.Listed(
        *place,
        turn=turn,
        title=title,
        cause=codes[0] if codes else reader.outlook.reason,
        behind=tuple(reading.awaited(place, raw, codes)),
        text=" ".join(words).casefold(),
        rank=reading.rank(turn, place),
    )


def html(
    everything: Sequence[shape.Listed],
    query: Query,
    get: Get,
    now: datetime,
    places: Iterable[page.PagePlace] = (),
) -> str:
    """The page that a query asks for of a list; `get` reads an object that is on it."""
    found = _found(everything, query)
    pages = max(1, -(-len(found.chosen) // PAGE))
    query = query._replace(page=min(_page_of(query, found.chosen), pages), object="")
    first = (query.page - 1) * PAGE
    shown = found.chosen[first : first + PAGE]
    report = shape.EmailReport(
        made=timestamp(now),
        made_by=f"postroom {postroom.__version__}",
        source=_SOURCE,
        namespaces=sorted({each.namespace for each in found.matching}),
        counts=shape.ReportCounts(total=len(found.matching), turns=dict(found.counts)),
        objects=list(_objects(shown, everything, get)),
    )
    anywhere = query._replace(page=1)
    begins = {each.turn for each in shown} - {each.turn for each in found.chosen[:first]}
    view = page.PageListing(
        text=query.q,
        choices=_choices(everything, query),
        tiles={
            turn: (anywhere._replace(state=turn.value).link, query.state == turn)
            for turn in found.counts
        },
        clear=Query().link if query.filters else "",
        first=first + 1,
        last=first + len(shown),
        found=len(found.chosen),
        pages=_pages(query, pages),
        causes={
            turn: [each for each in found.chosen if each.turn is turn] for turn in sorted(begins)
        },
        of_cause=lambda turn, code: anywhere._replace(state=turn.value, q=code).link,
        lasting=lambda name: f"{Query(object=name.anchor).link}#{name.anchor}",
    )
    return page.render(report, tuple(places), view)


def _page_of(query: Query, chosen: Sequence[shape.Listed]) -> int:
    """The page that is asked for: of an object that is named the one that it is on."""
    kind, _, place = query.object.partition("/")
    namespace, _, name = place.partition("/")
    for number, each in enumerate(chosen if query.object else ()):
        if (each.name, each.namespace, each.kind.lower()) == (name, namespace, kind.lower()):
            return number // PAGE + 1
    return query.page


def _found(everything: Sequence[shape.Listed], query: Query) -> _Found:
    matching = query.matching(everything)
    counted = Counter([each.turn for each in matching])
    chosen = [each for each in matching if query.in_state(each.turn)]
    chosen.sort(key=lambda each: each.rank)
    counts = {turn: counted[turn] for turn in shape.Turn if counted[turn]}
    return _Found(matching, chosen, counts)


def _objects(
    shown: Sequence[shape.Listed], everything: Iterable[shape.Listed], get: Get
) -> Iterable[shape.ReportedObject]:
    """Read what is shown, and link it with all that there is."""
    known = {each[:3]: _named(each[:3]) for each in shown}
    waiting: dict[shape.Place, list[shape.ReportedName]] = {place: [] for place in known}
    wanted = {place for each in shown for place in each.behind} - known.keys()
    for each in everything:
        place = each[:3]
        if place in wanted:
            known[place] = _named(place)
        for other in each.behind:
            if other in waiting:
                waiting[other].append(_named(place))
    for each in shown:
        place = each[:3]
        # What is gone by now is told of no more.
        if (raw := get(place)) is not None:
            behind = [known.get(other) or reading.unreported(other) for other in each.behind]
            told = reading.object_of(known[place], raw, _SOURCE)
            # It stands where the list has it, though it may have changed since.
            told = told.model_copy(update={"turn": each.turn})
            yield reading.linked_with(told, behind, waiting[place])


def _named(place: shape.Place) -> shape.ReportedName:
    kind, namespace, name = place
    return shape.ReportedName(
        kind=kind, namespace=namespace, name=name, anchor=reading.anchor_of(place)
    )


def _choices(everything: Iterable[shape.Listed], query: Query) -> list[page.PageChoice]:
    titles = page.TITLES
    states = {NOT_READY: "Not ready"} | {turn.value: titles[turn] for turn in shape.Turn}
    assert states.keys() == STATES.keys()  # noqa: S101
    kinds = {kind.value: page.KINDS[kind] for kind in Kind}
    choices = [
        page.PageChoice("State", "state", states, query.state),
        page.PageChoice("Kind", "kind", kinds, query.kind),
    ]
    namespaces = sorted({each.namespace for each in everything})
    if len(namespaces) > 1 or query.namespace:
        few = namespaces if len(namespaces) <= _CHOSEN else []
        named = dict.fromkeys(few) | ({query.namespace: None} if few and query.namespace else {})
        offered = {name: name for name in named}
        choices.append(page.PageChoice("Namespace", "namespace", offered, query.namespace))
    return choices


def _pages(query: Query, pages: int) -> list[page.PagePlace]:
    """The first and last page, and those around the shown one."""
    near = range(query.page - _NEAR, query.page + _NEAR + 1)
    numbers = sorted({1, pages, *near} & {*range(1, pages + 1)}) if pages > 1 else []
    return [
        page.PagePlace(str(number), query._replace(page=number).link, number == query.page)
        for number in numbers
    ]
