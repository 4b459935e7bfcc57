# SPDX-License-Identifier: Apache-2.0
"""Faults in SPF records of others that a record leads to: whose they are, and what helps here.

Who passes before receivers come to such a record is not touched by it (RFC 7208 section 5.2): the
include that leads there does least harm as the last.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from postroom.dns import spf
from postroom.dns.spf.repair import Edit, apply, removal
from postroom.dns.texts.quoting import quoted


@dataclass(frozen=True, slots=True)
class DeadEnd:
    """A term of the record, the record of others that it leads to, and what that includes: a name
    without a single valid SPF record, or one on the way there, so that it goes in a circle."""

    cost: spf.Cost
    owner: str
    name: str
    circle: bool = False

    @property
    def sentence(self) -> str:
        """What the record does, to follow its name."""
        what = "where there is no single valid SPF record"
        if self.circle:
            what = "so that it leads in a circle"
        return (
            f"leads by {quoted(self.cost.term)} to the record of {quoted(self.owner)}, which "
            f"includes {quoted(self.name)}, {what}"
        )


def of_others(found: spf.Reach) -> tuple[DeadEnd, ...]:
    """Return where a record ends at dead includes and circles of others alone, in the order of its
    terms.

    None where it includes a dead name itself, or is on a circle, or runs into more than that: that
    comes first. A circle takes more lookups than are allowed in any case.
    """
    broken = set(found.broken)
    dear = found.lookups > spf.LOOKUP_LIMIT and not found.loops
    if dear or found.overfull or found.unknown or found.domain in found.loops:
        return ()
    if any(cost.name in broken for cost in found.costs):
        return ()
    ends = (
        DeadEnd(cost, *below)
        for cost in found.costs
        if cost.name is not None
        for below in _dead_below(cost.children, (cost.name,), broken)
    )
    return tuple(ends)


def _dead_below(
    costs: Iterable[spf.Cost], path: tuple[str, ...], broken: set[str]
) -> Iterator[tuple[str, str, bool]]:
    """Yield whose record includes what, and whether that leads back to where `path` came from."""
    for cost in costs:
        if cost.name in broken:
            yield path[-1], cost.name, False
        elif cost.name in path and cost.children:
            # Addresses of a name on the way, by a or mx, are no circle: nothing lies below them.
            yield path[-1], cost.name, True
        elif cost.name is not None:
            yield from _dead_below(cost.children, (*path, cost.name), broken)


def put_last(record: spf.Record, ends: Iterable[DeadEnd]) -> str | None:
    """Put the includes that lead to dead ends behind all other mechanisms that let somebody pass.

    None where that changes nothing, or might change what becomes of somebody: of whom a term
    refuses, or names without letting them pass, and by a redirect.
    """
    starts = {end.cost.start for end in ends}
    terms = [term for term in record.effective if term.name != "all"]
    first = min(starts, default=0)
    behind = [term for term in terms if term.start > first]
    moved = [term for term in terms if term.start in starts]
    others = [term for term in behind if term.start not in starts]
    passing = all(term.passes for term in (*moved, *others))
    if len(moved) < len(starts) or not others or not passing:
        return None
    added = " ".join(term.text for term in moved)
    edits = [removal(term.start, term.text, "is put last") for term in moved]
    return apply(record.text, [*edits, Edit(terms[-1].end, terms[-1].end, f" {added}", "last")])
