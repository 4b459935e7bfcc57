# SPDX-License-Identifier: Apache-2.0
"""Places that several parties share: nobody can take so many that another waits for long. Pure.

A slot that is taken cannot be taken back before its work ends, and that may be long. So fairness
must be kept when slots are given, not when they are missed: as long as room lasts, what a party
holds is bounded so that one more party would find its share free.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT", bound=Hashable)

#: One in so many slots of a party is left for its more urgent work.
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
        self._taken = 0
        self._lines: list[Line[Hashable]] = []

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return self._taken

    def held(self, party: str) -> int:
        """How many slots a party holds."""
        return self._held.get(party, 0)

    def limit(self, party: str) -> int:
        """How many slots a party may hold now: an even share, one being kept for who comes."""
        if self._revocable:
            return self._each
        parties = len(self._held) + (party not in self._held)
        return min(self._each, max(1, self._total // (parties + 1)))

    def may_take(self, party: str, *, sparing: bool = False) -> bool:
        """Whether a party may take a slot now; `sparing`: and leave it an eighth of its own."""
        limit = self.limit(party)
        if sparing:
            limit -= limit // _SPARED
        return self._taken < self._total and self.held(party) < limit

    def take(self, party: str) -> None:
        """Take a slot, whether or not that is within the limits: who asks has asked before."""
        self._held[party] = self.held(party) + 1
        self._taken += 1
        self._moved(party)

    def give_back(self, party: str) -> None:
        """Give a slot back."""
        left = self._held.pop(party) - 1
        if left:
            self._held[party] = left
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
    of a party's slots to lines that are not.
    """

    def __init__(self, shares: Shares, *, sparing: bool = False) -> None:
        self._shares, self._sparing = shares, sparing
        # OrderedDict: popping the first item of a plain dict again and again is quadratic.
        self._items: dict[str, OrderedDict[ItemT, None]] = {}
        #: The parties that wait, by how many slots they hold, in the order of their turns.
        self._levels: dict[int, OrderedDict[str, None]] = {}
        self._level_of: dict[str, int] = {}
        shares.line(self)  # type: ignore[arg-type]  # it only tells who moved

    def __len__(self) -> int:
        return sum(map(len, self._items.values()))

    def __bool__(self) -> bool:
        return bool(self._items)

    def waiting(self) -> dict[str, int]:
        """How many items wait, by parties."""
        return {party: len(items) for party, items in self._items.items()}

    def ahead_of(self, party: str) -> int:
        """How many items are served before a new one of a party, at most."""
        own = len(self._items.get(party, ()))
        return sum(min(len(items), own + 1) for items in self._items.values())

    def push(self, party: str, item: ItemT) -> None:
        """Add an item at the end of its party's."""
        waiting = self._items.get(party)
        if waiting is None:
            waiting = self._items[party] = OrderedDict()
            self._enter(party)
        waiting[item] = None

    def remove(self, party: str, item: ItemT) -> None:
        """Take an item out that waits no more; one that does not wait is no error."""
        waiting = self._items.get(party)
        if waiting is not None and item in waiting:
            del waiting[item]
            if not waiting:
                self._leave(party)

    def next_party(self) -> str | None:
        """Return whose item may take a slot now, None where nobody's may.

        Where the party that holds least may not, no other may.
        """
        if not self._items:
            return None
        party = next(iter(self._levels[min(self._levels)]))
        return party if self._shares.may_take(party, sparing=self._sparing) else None

    def pop(self) -> tuple[str, ItemT] | None:
        """Take the next item out, and a slot for its party; None where none may take one now."""
        party = self.next_party()
        if party is None:
            return None
        waiting = self._items[party]
        item, _ = waiting.popitem(last=False)
        if not waiting:
            self._leave(party)
        self._shares.take(party)
        return party, item

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

    def _leave(self, party: str) -> None:
        self._withdraw(party)
        del self._items[party]
