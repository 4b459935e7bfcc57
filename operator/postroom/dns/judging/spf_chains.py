# SPDX-License-Identifier: Apache-2.0
"""Faults in SPF records of others that a record leads to: whose they are, and what helps here.

Who passes before receivers come to such a record is not touched by it (RFC 7208 section 5.2): the
include that leads there does least harm as the last.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from postroom.dns import spf
from postroom.dns.spf.repair import Edit, apply, removal
from postroom.dns.texts.quoting import quoted

#: Most faults of others that are gone around: no more records of others are fetched.
_ENDS_LIMIT = 30


class End(Enum):
    """Why receivers get no further."""

    DEAD = "where there is no single valid SPF record"
    CIRCLE = "so that it leads in a circle"
    OVERFULL = "which has more than ten mail exchangers"


@dataclass(frozen=True, slots=True)
class DeadEnd:
    """A term of the record, the record that it leads to, and what that names: a name without a
    single valid SPF record, or one on the way there, so that it goes in a circle, or one of whose
    mail exchangers there are too many. The last may be named by the record itself."""

    cost: spf.Cost
    owner: str
    name: str
    why: End = End.DEAD

    @property
    def own(self) -> bool:
        """Whether the term itself is the end."""
        return _is_mx(self.cost)

    @property
    def sentence(self) -> str:
        """What the record does, to follow its name."""
        names = "has an mx for" if self.why is End.OVERFULL else "includes"
        what = f"{names} {quoted(self.name)}, {self.why.value}"
        if self.own:
            return what
        return (
            f"leads by {quoted(self.cost.term)} to the record of {quoted(self.owner)}, which {what}"
        )

    def concerns(self, names: Container[str]) -> bool:
        """Whether one of these names is on the way to it."""
        return any(name in names for name in (self.cost.name, self.owner, self.name))

    def remedy(self, *, moved: bool) -> str:
        """Whose the fault is, and what the fix does about it."""
        said = f"Only who runs {quoted(self.owner)} can mend that."
        if self.own:
            said = "Name the hosts that send by ip4 and ip6 instead, or take it out."
        if not moved:
            return said
        return (
            f"{said} The fix puts {quoted(self.cost.term)} last, so that all others pass before it."
        )


def of_others(found: spf.Reach) -> tuple[DeadEnd, ...]:
    """Return where a record ends without being at fault itself, in the order of its terms.

    None where it includes itself or a dead name, or runs into more than that: that comes first.
    What lies behind a dead end no receiver looks up.
    """
    own = (cost.name for cost in found.costs if cost.leads_to_record)
    if found.unknown or any(name in found.broken for name in own):
        return ()
    if any(cost.name == found.domain and cost.children for cost in found.costs):
        return ()
    sources, _ = _around([found.record.text], found.sources, found.domain)
    dear = spf.reach(found.record.text, sources, found.domain).lookups > spf.LOOKUP_LIMIT
    return () if dear else dead_ends(found)


def dead_ends(found: spf.Reach) -> tuple[DeadEnd, ...]:
    """Return the first end that each term of a record leads to; that it includes itself is none of
    others."""
    sources, cut = _around([found.record.text], found.sources, found.domain)
    # Walked without its ends, as circles take all the lookups that are counted.
    whole = spf.reach(found.record.text, sources, found.domain)
    ends = list[DeadEnd]()
    for cost in whole.costs:
        owner = next((name for name in _names((cost,)) if name in cut), None)
        own = _at(cost, found)
        if own:
            ends.append(DeadEnd(cost, *own[0]))
        elif owner is not None:
            ends.append(DeadEnd(cost, owner, *cut[owner]))
    return tuple(ends)


def _names(costs: Iterable[spf.Cost]) -> Iterator[str]:
    """The names of records that costs lead to, in the order in which receivers come to them."""
    for cost in costs:
        yield from _names(cost.children)
        if cost.name is not None:
            yield cost.name


def up_to_dead_ends(
    texts: Sequence[str],
    others: Mapping[str, spf.Fetched],
    domain: str,
    required: Iterable[str] = (),
) -> dict[str, spf.Fetched]:
    """Return the records of others as far as receivers get who come by these `texts`.

    What is `required` is not gone around: that it leads to no end is a matter of the requirement.
    """
    return _around(texts, others, domain, required)[0]


def _around(
    texts: Sequence[str],
    others: Mapping[str, spf.Fetched],
    domain: str,
    required: Iterable[str] = (),
) -> tuple[dict[str, spf.Fetched], dict[str, tuple[str, End]]]:
    """The records of others, and where which of them were cut off.

    One end after another, as a record that is on a circle is cut where it leads back only.
    """
    sources, kept, cut = dict(others), frozenset(required), dict[str, tuple[str, End]]()
    for text in texts:
        for _ in range(_ENDS_LIMIT):
            ends = _ends(spf.reach(text, sources, domain))
            end = next((end for end in ends if not end.concerns(kept)), None)
            if end is None:
                break
            there = sources[end.owner]
            if end.own:
                # As if nobody had looked them up.
                sources[end.owner] = replace(there, exchanges=None)
                continue
            record = spf.parse(there.texts[0], end.owner, domain)
            sources[end.owner] = replace(there, texts=(_before(record, end),))
            cut[end.owner] = end.name, end.why
    return sources, cut


def _ends(found: spf.Reach) -> Iterator[DeadEnd]:
    """Yield the ends in what a record names, as a walk comes to them."""
    for cost in found.costs:
        if cost.name is not None and not (cost.name == found.domain and cost.children):
            for end in _at(cost, found) or _below(cost.children, (found.domain, cost.name), found):
                yield DeadEnd(cost, *end)


def _before(record: spf.Record, end: DeadEnd) -> str:
    """The part of a record of others that receivers come to before the term that is the end."""
    kind = "mx" if end.why is End.OVERFULL else "include"
    for term in record.effective:
        if term.name == kind and (term.target or end.owner) == end.name:
            return record.text[: term.start].rstrip(" ")
    # A redirect is followed after all mechanisms, wherever it stands.
    gone = [] if record.redirect is None else [record.redirect]
    return apply(record.text, [removal(term.start, term.text, "is followed") for term in gone])


def _is_mx(cost: spf.Cost) -> bool:
    return cost.term.lstrip("+?~-")[:2].lower() == "mx"


_Place = tuple[str, str, End]


def _at(cost: spf.Cost, found: spf.Reach) -> list[_Place]:
    """A term that names too many mail exchangers; others may name the same for its addresses."""
    overfull = _is_mx(cost) and cost.name is not None and cost.name in found.overfull
    return [(cost.name or "", cost.name or "", End.OVERFULL)] if overfull else []


def _below(costs: Iterable[spf.Cost], path: tuple[str, ...], found: spf.Reach) -> Iterator[_Place]:
    """Yield whose record names what, and why that is an end; `path` leads there."""
    for cost in costs:
        if cost.name is None:
            continue
        if cost.name in found.broken and cost.leads_to_record:
            yield path[-1], cost.name, End.DEAD
        elif cost.name in path and cost.children:
            # Addresses of a name on the way, by a or mx, are no circle: nothing lies below them.
            yield path[-1], cost.name, End.CIRCLE
        elif _at(cost, found):
            yield path[-1], cost.name, End.OVERFULL
        else:
            yield from _below(cost.children, (*path, cost.name), found)


def put_last(record: spf.Record, ends: Iterable[DeadEnd]) -> str | None:
    """Put the terms that lead to dead ends behind all other mechanisms that let somebody pass.

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
