# SPDX-License-Identifier: Apache-2.0
"""The page: one file that needs no other, in which nothing that a status says is ever markup."""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from itertools import groupby
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from postroom.api.names import Kind
from postroom.api.sendingdomain_status import RecordState
from postroom.api.times import parse_timestamp
from postroom.report import shape

#: Objects of one turn that the page shows, links in a line before it says how many more, and how
#: many objects are too many for a browser to lay out at once.
_MOST, _FEW, _MANY = 2_000, 12, 200
#: Characters of all objects that the page shows; some 4,000 domains with much to say.
_HEAVIEST = 16_000_000
#: The same of one page of a list.
_HEAVIEST_PAGE = 4_000_000
#: Objects of a turn from which on a list of causes leads to them.
_SEVERAL = 5
KINDS = {
    Kind.SENDING_DOMAIN: "Domain",
    Kind.MAIL_SERVER: "Mail server",
    Kind.EMAIL_ACCOUNT: "Address",
}
_SOURCES = {
    shape.ReportSource.FILES: "Checked from files",
    shape.ReportSource.INPUT: "Read from what was handed in",
    shape.ReportSource.CLUSTER: "Read from the cluster",
    shape.ReportSource.OPERATOR: "As the operator knows it",
}
_STATES = {
    RecordState.VALID: "works",
    RecordState.PROPAGATING: "waiting",
    RecordState.UNKNOWN: "waiting",
    RecordState.MISSING: "yours",
    RecordState.WRONG: "yours",
    RecordState.CONFLICTING: "yours",
}
_PASSING = frozenset({shape.Turn.RETRIED, shape.Turn.SPREADING, shape.Turn.UNSEEN})


class _Look(NamedTuple):
    """How the page tells of a turn."""

    title: str
    lead: str
    look: str


_LOOKS = {
    shape.Turn.YOURS: _Look(
        "Your turn",
        "These need a change that somebody has to make: publish a record, correct a setting, or "
        "grant something. Each entry says which.",
        "yours",
    ),
    shape.Turn.BEHIND: _Look(
        "Waiting for another object",
        "Nothing to do here. They go on once what they wait for works.",
        "waiting",
    ),
    shape.Turn.RETRIED: _Look(
        "We retry",
        "A look is under way, or did not get through for a reason that passes.",
        "waiting",
    ),
    shape.Turn.SPREADING: _Look(
        "Waiting for propagation",
        "What was published is right. Resolvers still remember the answer before it, and forget "
        "it by themselves.",
        "waiting",
    ),
    shape.Turn.UNSEEN: _Look(
        "Not looked at yet", "Of these as they are now nothing is known.", "waiting"
    ),
    shape.Turn.ADVISED: _Look(
        "Working, with advice", "These work. Something about them could be better.", "advice"
    ),
    shape.Turn.NOBODY: _Look("Working", "Nothing to do.", "works"),
    shape.Turn.RESTING: _Look(
        "Switched off", "Suspended or disconnected: nothing is checked.", "rest"
    ),
}
TITLES = {turn: look.title for turn, look in _LOOKS.items()}
_TABULAR = frozenset({shape.Turn.BEHIND, shape.Turn.UNSEEN, shape.Turn.NOBODY, shape.Turn.RESTING})


class PagePlace(NamedTuple):
    """A link to the same page about something else, such as another namespace."""

    label: str
    href: str
    here: bool


class PageChoice(NamedTuple):
    """A field of the form that filters a list: what may be chosen, and what it is called; nothing
    to choose from is typed."""

    label: str
    name: str
    options: Mapping[str, str]
    chosen: str


class PageListing(NamedTuple):
    """Of a list of which a page shows a part: which part, and the ways to the rest."""

    text: str
    choices: Sequence[PageChoice]
    #: By turn the link to all of it, and whether that is shown.
    tiles: Mapping[shape.Turn, tuple[str, bool]]
    #: The link to the whole list; empty: it is shown.
    clear: str
    first: int
    last: int
    found: int
    pages: Sequence[PagePlace]
    #: All objects of the turns that begin on this page, wherever they are shown.
    causes: Mapping[shape.Turn, Sequence[shape.Listed]]
    #: The link to what has a cause, and to an object of the list.
    of_cause: Callable[[shape.Turn, str], str]
    lasting: Callable[[shape.ReportedName], str]


class _Tile(NamedTuple):
    """How many objects there are of a turn, and where."""

    title: str
    look: str
    number: int
    href: str
    here: bool


class _Cause(NamedTuple):
    """A cause, the objects of which it was found, by title, and a link to all of them."""

    code: str
    objects: Sequence[tuple[str, str]]
    number: int
    href: str


class _Group(NamedTuple):
    """The objects of a namespace."""

    namespace: str
    objects: Sequence[shape.ReportedObject]


class _Section:
    """All objects of one turn, as the page shows them."""

    def __init__(
        self,
        turn: shape.Turn,
        objects: Sequence[shape.ReportedObject],
        fitting: Collection[str],
        listing: PageListing | None,
        count: int,
    ) -> None:
        self.turn, self.count = turn, count
        self.title, self.lead, self.look = _LOOKS[turn]
        self.tabular = turn in _TABULAR
        self.explained = turn is not shape.Turn.NOBODY
        shown = [each for each in objects if each.anchor in fitting]
        self.left_out = len(objects) - len(shown)
        self.groups = [
            _Group(namespace, list(mine))
            for namespace, mine in groupby(shown, key=lambda each: each.namespace)
        ]
        self.causes = list[_Cause]()
        if not self.tabular:
            self.causes = _by_cause(
                [
                    (
                        each.problems[0].code if each.problems else each.reason,
                        each,
                        f"#{each.anchor}",
                    )
                    for each in shown
                ],
                lambda code: "",
            )
        if listing is not None and not self.tabular:
            # Those of all that the list has of a turn, though the page shows a part of it.
            self.causes = _by_cause(
                [(each.cause, each, "") for each in listing.causes.get(turn, ())],
                lambda code: listing.of_cause(turn, code),
            )


def _by_cause(
    objects: Sequence[tuple[str, shape.Listed | shape.ReportedObject, str]],
    link: Callable[[str], str],
) -> list[_Cause]:
    """Each object under its first cause, what is found most often first; few need no list. Of
    several of a title, such as servers of one host, each is told with its place."""
    found: dict[str, list[tuple[str, str]]] = {}
    titles = Counter((code, each.title) for code, each, _ in objects)
    for code, each, href in objects if len(objects) >= _SEVERAL else ():
        place = f" ({each.namespace}/{each.name})" if titles[code, each.title] > 1 else ""
        found.setdefault(code, []).append((f"{each.title}{place}", href))
    return [
        _Cause(code, mine[:_FEW], len(mine), link(code))
        for code, mine in sorted(found.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    ]


def _fitting(objects: Iterable[shape.ReportedObject], room: int) -> set[str]:
    """The anchors of what the page has room for, turn by turn and in all.

    What its own namespace has least before it goes first, so that nobody's many or heavy objects
    keep those of others from being shown.
    """
    before, counts = Counter[str](), Counter[shape.Turn]()
    waiting = []
    for number, each in enumerate(objects):
        unseen = {"holds_up", "records"} if each.turn in _TABULAR else {"holds_up"}
        weight = len(each.model_dump_json(exclude=unseen))
        before[each.namespace] += weight
        waiting.append((before[each.namespace], number, weight, each))
    fitting = set[str]()
    for _, _, weight, each in sorted(waiting, key=lambda entry: entry[:2]):
        counts[each.turn] += 1
        if weight <= room and counts[each.turn] <= _MOST:
            room -= weight
            fitting.add(each.anchor)
    return fitting


def headline(report: shape.EmailReport) -> str:
    """The report in a line."""
    counts = report.counts.turns
    yours, total = counts.get(shape.Turn.YOURS, 0), report.counts.total
    waiting = sum(counts.get(turn, 0) for turn, look in _LOOKS.items() if look.look == "waiting")
    if not total:
        return "Nothing to report on"
    if yours:
        return f"{yours} of {total} {'needs' if yours == 1 else 'need'} you"
    if waiting:
        return (
            f"Nothing for you to do; {waiting} of {total} {'is' if waiting == 1 else 'are'} waiting"
        )
    resting = counts.get(shape.Turn.RESTING, 0)
    if resting == total:
        return "Everything is switched off"
    return "Everything that is not switched off works" if resting else "Everything works"


def policy(*, header: bool = False, form: bool = False) -> str:
    """The Content-Security-Policy: nothing is loaded, and only our style and script run.

    That nobody may frame a page only a `header` can say; with a `form` it asks its own server.
    """
    style, script = (_digest(name) for name in ("page.css", "page.js"))
    asked = "'self'" if form else "'none'"
    allowed = (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; img-src data:; "
        f"base-uri 'none'; form-action {asked}"
    )
    return f"{allowed}; frame-ancestors 'none'" if header else allowed


def render(
    report: shape.EmailReport,
    places: Sequence[PagePlace] = (),
    listing: PageListing | None = None,
) -> str:
    """Write the page of a report; `places` are links to those of other namespaces.

    With a `listing` the objects are those of one page of it, and the counts those of the list.
    """
    fitting = _fitting(report.objects, _HEAVIEST if listing is None else _HEAVIEST_PAGE)
    counts = report.counts.turns
    sections = [
        _Section(turn, list(objects), fitting, listing, counts[turn])
        for turn, objects in groupby(report.objects, key=lambda each: each.turn)
    ]
    return _template().render(
        report=report,
        headline=headline(report),
        tiles=list(_tiles(counts, listing)),
        sections=sections,
        fitting=fitting,
        places=[(place.label, place.href, place.here) for place in places],
        listing=listing,
        grouped=len(report.namespaces) > 1,
        policy=policy(form=listing is not None),
        style=_own("page.css"),
        script=_own("page.js"),
    )


def _tiles(counts: Mapping[shape.Turn, int], listing: PageListing | None) -> Iterable[_Tile]:
    for turn, count in counts.items():
        title, _, look = _LOOKS[turn]
        href, here = (f"#{turn.lower()}", False) if listing is None else listing.tiles[turn]
        yield _Tile(title, look, count, href, here)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["spoken"] = _spoken
    environment.globals.update(
        kinds=KINDS, sources=_SOURCES, states=_STATES, passing=_PASSING, few=_FEW, many=_MANY
    )
    return environment.from_string(_file("page.html.j2"))


def _spoken(stamp: str) -> str:
    """A time for people, in UTC, as nobody knows where they are."""
    moment: datetime = parse_timestamp(stamp)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


@cache
def _file(name: str) -> str:
    return resources.files("postroom.report").joinpath("page_files", name).read_text("utf-8")


def _own(name: str) -> Markup:
    """A file of ours that is no text but style or script."""
    return Markup(_file(name))  # noqa: S704 - nothing of others is in it


def _digest(name: str) -> str:
    digest = hashlib.sha256(_file(name).encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
