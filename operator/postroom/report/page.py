# SPDX-License-Identifier: Apache-2.0
"""The page: one file that needs no other, in which nothing that a status says is ever markup."""

import base64
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
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
#: Objects of a turn from which on a list of causes leads to them.
_SEVERAL = 5
_KINDS = {
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
_TABULAR = {
    shape.Turn.BEHIND, shape.Turn.UNSEEN, shape.Turn.NOBODY, shape.Turn.RESTING,
}  # fmt: skip


class PagePlace(NamedTuple):
    """A link to the same page about another namespace, or about all."""

    label: str
    href: str
    here: bool


class _Cause(NamedTuple):
    """A cause, and the objects of which it was found."""

    code: str
    objects: Sequence[shape.ReportedObject]


class _Group(NamedTuple):
    """The objects of a namespace."""

    namespace: str
    objects: Sequence[shape.ReportedObject]


class _Section:
    """All objects of one turn, as the page shows them."""

    def __init__(
        self, turn: shape.Turn, objects: Sequence[shape.ReportedObject], fitting: Collection[str]
    ) -> None:
        self.turn, self.count = turn, len(objects)
        self.title, self.lead, self.look = _LOOKS[turn]
        self.tabular = turn in _TABULAR
        self.explained = turn is not shape.Turn.NOBODY
        shown = [each for each in objects if each.anchor in fitting]
        self.left_out = len(objects) - len(shown)
        self.groups = [
            _Group(namespace, list(mine))
            for namespace, mine in groupby(shown, key=lambda each: each.namespace)
        ]
        self.causes = [] if self.tabular or len(shown) < _SEVERAL else _by_cause(shown)


def _by_cause(objects: Iterable[shape.ReportedObject]) -> list[_Cause]:
    """Each object under its first cause, what is found most often first."""
    found: dict[str, list[shape.ReportedObject]] = {}
    for each in objects:
        code = each.problems[0].code if each.problems else each.reason
        found.setdefault(code, []).append(each)
    return [
        _Cause(code, mine)
        for code, mine in sorted(found.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    ]


def _fitting(objects: Iterable[shape.ReportedObject]) -> set[str]:
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
    fitting, room = set[str](), _HEAVIEST
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
    return "Everything works"


def policy(*, header: bool = False) -> str:
    """The Content-Security-Policy: nothing is loaded, and only our style and script run.

    That nobody may frame a page only a `header` can say.
    """
    style, script = (_digest(name) for name in ("page.css", "page.js"))
    allowed = (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"{allowed}; frame-ancestors 'none'" if header else allowed


def render(report: shape.EmailReport, places: Sequence[PagePlace] = ()) -> str:
    """Write the page of a report; `places` are links to those of other namespaces."""
    fitting = _fitting(report.objects)
    by_turn = groupby(report.objects, key=lambda each: each.turn)
    return _template().render(
        report=report,
        headline=headline(report),
        sections=[_Section(turn, list(objects), fitting) for turn, objects in by_turn],
        fitting=fitting,
        places=[(place.label, place.href, place.here) for place in places],
        grouped=len(report.namespaces) > 1,
        policy=policy(),
        style=_own("page.css"),
        script=_own("page.js"),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["spoken"] = _spoken
    environment.globals.update(
        kinds=_KINDS, sources=_SOURCES, states=_STATES, passing=_PASSING, few=_FEW, many=_MANY
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
