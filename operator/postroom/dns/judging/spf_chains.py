# SPDX-License-Identifier: Apache-2.0
"""Faults in SPF records of others that a record leads to: whose they are, and what helps here.

Who passes before receivers come to such a record is not touched by it (RFC 7208 section 5.2): the
include that leads there does least harm as the last.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from postroom.dns import spf
from postroom.dns.spf.repair import Edit, apply, removal
from postroom.dns.texts.quoting import quoted

#: Most faults of others that are gone around: no more records of others are fetched.
_ENDS_LIMIT = 30


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

    def concerns(self, names: Container[str]) -> bool:
        """Whether one of these names is on the way to it."""
        return any(name in names for name in (self.cost.name, self.owner, self.name))

    def remedy(self, *, moved: bool) -> str:
        """Whose the fault is, and what the fix does about it."""
        said = f"Only who runs {quoted(self.owner)} can mend that."
        if not moved:
            return said
        return (
            f"{said} The fix puts {quoted(self.cost.term)} last, so that all others pass before it."
        )


def of_others(found: spf.Reach) -> tuple[DeadEnd, ...]:
    """Return where a record ends at dead includes and circles of others alone, in the order of its
    terms.

    None where it includes a dead name itself, or is on a circle, or runs into more than that: that
    comes first. What lies behind a dead end no receiver looks up.
    """
    broken = set(found.broken)
    if found.overfull or found.unknown or found.domain in found.loops:
        return ()
    if any(cost.name in broken for cost in found.costs):
        return ()
    ends = dead_ends(found)
    sources = up_to_dead_ends([found.record.text], found.sources, found.domain)
    dear = spf.reach(found.record.text, sources, found.domain).lookups > spf.LOOKUP_LIMIT
    return () if dear else ends


def dead_ends(found: spf.Reach) -> tuple[DeadEnd, ...]:
    """Return all dead ends in records of others, but circles that the record itself is on."""
    ends = (
        DeadEnd(cost, *below)
        for cost in found.costs
        if cost.name is not None
        for below in _dead_below(cost.children, (cost.name,), set(found.broken))
    )
    return tuple(end for end in ends if found.domain not in (end.owner, end.name))


def up_to_dead_ends(
    texts: Sequence[str],
    others: Mapping[str, spf.Fetched],
    domain: str,
    required: Iterable[str] = (),
) -> dict[str, spf.Fetched]:
    """Return the records of others as far as receivers get who come by these `texts`.

    What is `required` is not gone around: that it leads to no end is a matter of the requirement.
    One end after another, as a record that is on a circle is cut where it leads back only.
    """
    sources, kept = dict(others), frozenset(required)
    for text in texts:
        for _ in range(_ENDS_LIMIT):
            ends = dead_ends(spf.reach(text, sources, domain))
            end = next((end for end in ends if not end.concerns(kept)), None)
            if end is None:
                break
            there = sources[end.owner]
            cut = _before(spf.parse(there.texts[0], end.owner, domain), end.name)
            sources[end.owner] = replace(there, texts=(cut,))
    return sources


def _before(record: spf.Record, name: str) -> str:
    """The part of a record that receivers come to before the term that leads to `name`."""
    for term in record.effective:
        if term.name == "include" and term.target == name:
            return record.text[: term.start].rstrip(" ")
    # A redirect is followed after all mechanisms, wherever it stands.
    gone = [] if record.redirect is None else [record.redirect]
    return apply(record.text, [removal(term.start, term.text, "is followed") for term in gone])


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
