# SPDX-License-Identifier: Apache-2.0
"""Places that several parties share: nobody can take so many that another waits for long. Pure.

A slot that is taken cannot be taken back before its work ends, and that may be long. So fairness
must be kept when slots are given, not when they are missed: as long as room lasts, what a party
holds is bounded so that one more party would find its share free.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT", bound=Hashable)

#: One in so many slots of a party is left for its more urgent work, and as many for work of another
#: kind.
_SPARED = 8


class Shares:
    """`total` slots, of which one party holds at most `each`, and less while others hold some.

    Where slots are `revocable` it is not less: whoever takes them back keeps the shares even.
    """

    def __init__(self, total: int, each: int, *, revocable: bool = False) -> None:
        if total < 1 or each < 1:
            raise ValueError("shares need at least one slot in all and for each")
        self._total, self._each, self._revocable = total, each, revocable
        self._held: dict[str, int] = {}
        #: By party and kind, where work has one.
        self._held_by: dict[tuple[str, str], int] = {}
        self._taken = 0
        self._lines: list[Line[Hashable]] = []

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return self._taken

    def held(self, party: str, kind: str = "") -> int:
        """How many slots a party holds, of them for work of a kind if that is given."""
        return self._held_by.get((party, kind), 0) if kind else self._held.get(party, 0)

    def limit(self, party: str) -> int:
        """How many slots a party may hold now: an even share, one being kept for who comes."""
        if self._revocable:
            return self._each
        parties = len(self._held) + (party not in self._held)
        return min(self._each, max(1, self._total // (parties + 1)))

    def may_take(self, party: str, *, sparing: bool = False, kind: str = "") -> bool:
        """Whether a party may take a slot now; `sparing`: and leave it an eighth of its own.

        Work of one kind leaves another eighth to the others: what all waits for the same keeps none
        of these from working.
        """
        whole = limit = self.limit(party)
        if sparing:
            limit -= whole // _SPARED
        if self._taken >= self._total or self.held(party) >= limit:
            return False
        return not kind or self.held(party, kind) < limit - whole // _SPARED

    def take(self, party: str, kind: str = "") -> None:
        """Take a slot, whether or not that is within the limits: who asks has asked before."""
        self._held[party] = self.held(party) + 1
        if kind:
            self._held_by[party, kind] = self.held(party, kind) + 1
        self._taken += 1
        self._moved(party)

    def give_back(self, party: str, kind: str = "") -> None:
        """Give a slot back, which was taken for work of this kind."""
        left = self._held.pop(party) - 1
        if left:
            self._held[party] = left
        if kind and (of_kind := self._held_by.pop((party, kind)) - 1):
            self._held_by[party, kind] = of_kind
        self._taken -= 1
        self._moved(party)

    def line(self, line: Line[Hashable]) -> None:
        """Have a line follow who holds how much."""
        self._lines.append(line)

    def _moved(self, party: str) -> None:
        for line in self._lines:
            line.moved(party)


class Line(Generic[ItemT]):
    """What waits for a slot: first of the party that holds least, in turns among equals.

    Within a party, first in is first out. An item waits at most once. A `sparing` line leaves some
    of a party's slots to lines that are not. Where `kind_of` tells kinds of items apart, it is
    within a kind that first in is first out: of those of a party, the one that holds least is next.
    """

    def __init__(
        self,
        shares: Shares,
        *,
        sparing: bool = False,
        kind_of: Callable[[ItemT], str] = lambda item: "",
    ) -> None:
        self._shares, self._sparing, self._kind_of = shares, sparing, kind_of
        # OrderedDict: popping the first item of a plain dict again and again is quadratic.
        self._items: dict[str, dict[str, OrderedDict[ItemT, None]]] = {}
        #: The parties that wait, by how many slots they hold, in the order of their turns.
        self._levels: dict[int, OrderedDict[str, None]] = {}
        self._level_of: dict[str, int] = {}
        shares.line(self)  # type: ignore[arg-type]  # it only tells who moved

    def __len__(self) -> int:
        return sum(self.waiting().values())

    def __bool__(self) -> bool:
        return bool(self._items)

    def waiting(self) -> dict[str, int]:
        """How many items wait, by parties."""
        return {party: sum(map(len, kinds.values())) for party, kinds in self._items.items()}

    def ahead_of(self, party: str) -> int:
        """How many items are served before a new one of a party, at most."""
        waiting = self.waiting()
        own = waiting.get(party, 0)
        return sum(min(number, own + 1) for number in waiting.values())

    def push(self, party: str, item: ItemT) -> None:
        """Add an item at the end of its party's."""
        kinds = self._items.get(party)
        if kinds is None:
            kinds = self._items[party] = {}
            self._enter(party)
        kinds.setdefault(self._kind_of(item), OrderedDict())[item] = None

    def remove(self, party: str, item: ItemT) -> None:
        """Take an item out that waits no more; one that does not wait is no error."""
        kind = self._kind_of(item)
        waiting = self._items.get(party, {}).get(kind)
        if waiting is not None and item in waiting:
            del waiting[item]
            self._tidy(party, kind)

    def next_party(self) -> str | None:
        """Return whose item may take a slot now, None where nobody's may."""
        found = self.next_turn()
        return found[0] if found is not None else None

    def next_turn(self) -> tuple[str, str] | None:
        """Whose item may take a slot now, and of which kind; None where nobody's may."""
        for level in sorted(self._levels):
            for party in self._levels[level]:
                if not self._shares.may_take(party, sparing=self._sparing):
                    # Where the party that holds least may not, no other may.
                    return None
                kinds: Iterable[str] = self._items[party]
                if len(self._items[party]) > 1:
                    kinds = sorted(kinds, key=partial(self._shares.held, party))
                for kind in kinds:
                    if self._shares.may_take(party, sparing=self._sparing, kind=kind):
                        return party, kind
        return None

    def pop(self) -> tuple[str, ItemT] | None:
        """Take the next item out, and a slot for its party; None where none may take one now."""
        turn = self.next_turn()
        return (turn[0], self.take(turn)) if turn is not None else None

    def take(self, turn: tuple[str, str]) -> ItemT:
        """Take out the item whose turn is next, and a slot for its party."""
        party, kind = turn
        item, _ = self._items[party][kind].popitem(last=False)
        self._tidy(party, kind)
        self._shares.take(party, kind)
        return item

    def moved(self, party: str) -> None:
        """A party holds more or less than before: it queues anew among its equals."""
        if party in self._level_of:
            self._withdraw(party)
            self._enter(party)

    def _enter(self, party: str) -> None:
        level = self._level_of[party] = self._shares.held(party)
        self._levels.setdefault(level, OrderedDict())[party] = None

    def _withdraw(self, party: str) -> None:
        level = self._level_of.pop(party)
        del self._levels[level][party]
        if not self._levels[level]:
            del self._levels[level]

    def _tidy(self, party: str, kind: str) -> None:
        """Forget a kind of which nothing waits any more, and a party of which nothing does."""
        if not self._items[party][kind]:
            del self._items[party][kind]
        if not self._items[party]:
            self._withdraw(party)
            del self._items[party]
