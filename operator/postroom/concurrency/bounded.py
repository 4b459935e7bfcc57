# SPDX-License-Identifier: Apache-2.0
"""Maps that hold no more than so much, whatever is put into them, shared evenly among parties.

What is remembered for many tenants must not be forgotten because one of them has many names: where
there is no room, the party that has most gives first. One with no more than an even share loses
nothing that it has used, whatever the others put in.
"""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from functools import wraps
from typing import Generic, ParamSpec, TypeVar

from postroom.concurrency.acting import party

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")
ParametersT = ParamSpec("ParametersT")

#: Entries in excess that are looked at when one is put: all of them may be in use.
_LOOKS = 8
#: Notes of a ranking that are kept, beside those that count, before it is made anew.
_OUTDATED = 64


class _Ranking:
    """How much each party has; of those that have most, who has rested longest comes first."""

    def __init__(self) -> None:
        #: (how much, when that was noted), by party; and the same, with all that is outdated.
        self._of: dict[str, tuple[int, int]] = {}
        self._notes: list[tuple[int, int, str]] = []
        #: When each party did something last. What that changes is noted once somebody asks.
        self._active: dict[str, int] = {}
        self._moment = 0

    def active(self, name: str) -> None:
        """A party did something; what it has is the same."""
        self._moment += 1
        self._active[name] = self._moment

    def note(self, name: str, amount: int) -> None:
        """A party has so much from now on, and did something."""
        if not amount:
            self._of.pop(name, None)
            self._active.pop(name, None)
            return
        self.active(name)
        self._put(name, amount)
        if len(self._notes) > 2 * len(self._of) + _OUTDATED:
            self._notes = [(-held, at, of) for of, (held, at) in self._of.items()]
            heapq.heapify(self._notes)

    def _put(self, name: str, amount: int) -> None:
        moment = self._active[name]
        self._of[name] = amount, moment
        heapq.heappush(self._notes, (-amount, moment, name))

    def first(self) -> str:
        """Who has most; there must be somebody."""
        while True:
            amount, moment, name = self._notes[0]
            if self._of.get(name) == (-amount, moment):
                if self._active[name] == moment:
                    return name
                self._put(name, -amount)
            heapq.heappop(self._notes)


class BoundedMap(Generic[KeyT, ValueT]):
    """At most `limit` entries; of the party that has most, what was not put or used for longest
    goes first.

    An entry is of the party that the running task acts for, or `party_of` its key; of those that
    share one it is of who has less, so that sharing it with one that has much puts it at no risk.
    With `weigh`, the entries together weigh no more than `heaviest` either. One that is `in_use`
    does not go because of their number: as long as they are, there may be more than `limit`.
    """

    def __init__(
        self,
        limit: int,
        *,
        weigh: Callable[[ValueT], int] = lambda _: 0,
        heaviest: int = 0,
        in_use: Callable[[ValueT], bool] = lambda _: False,
        party_of: Callable[[KeyT], str] | None = None,
    ) -> None:
        self._limit, self._weigh, self._heaviest = limit, weigh, heaviest
        self._in_use, self._party_of = in_use, party_of
        self._owners: dict[KeyT, str] = {}
        self._entries: dict[str, OrderedDict[KeyT, ValueT]] = {}
        self._weights: dict[str, int] = {}
        self._weight = 0
        self._ranking = _Ranking()

    def __len__(self) -> int:
        return len(self._owners)

    def __contains__(self, key: KeyT) -> bool:
        return key in self._owners

    def __iter__(self) -> Iterator[KeyT]:
        """Party by party, of each from the entry that goes first to the newest."""
        return itertools.chain.from_iterable(self._entries.values())

    def get(self, key: KeyT) -> ValueT | None:
        """The value of a key, which thereby stays no longer; None: there is none."""
        owner = self._owners.get(key)
        return None if owner is None else self._entries[owner][key]

    def use(self, key: KeyT) -> ValueT | None:
        """The value of a key, which becomes the last of its party's to go; None: there is none."""
        owner = self._owners.get(key)
        if owner is None:
            return None
        entries = self._entries[owner]
        if self._party_of is None and party() != owner:
            user = self._owner_for(key)
            if user != owner:
                value = self._take(key)
                self._hold(user, key, value)
                return value
        entries.move_to_end(key)
        self._ranking.active(owner)
        return entries[key]

    def use_or_make(self, key: KeyT, make: Callable[[], ValueT]) -> ValueT:
        """The value of a key, made where there is none; it becomes the last to go."""
        if key not in self._owners:
            value = make()
            self.put(key, value)
            return value
        return self.use(key)  # type: ignore[return-value]  # it is there

    def put(self, key: KeyT, value: ValueT) -> None:
        """Hold a value, which becomes the last of its party's to go."""
        owner = self._owner_for(key)
        self.pop(key)
        self._hold(owner, key, value)
        for _ in range(min(len(self._owners) - self._limit, _LOOKS)):
            entries = self._entries[self._ranking.first()]
            oldest = next(iter(entries))
            if self._in_use(entries[oldest]):
                entries.move_to_end(oldest)
            else:
                self._take(oldest)
        while self._weight > self._heaviest:
            self._take(next(iter(self._entries[self._ranking.first()])))

    def pop(self, key: KeyT) -> ValueT | None:
        """Take a value out; None: there is none."""
        return self._take(key) if key in self._owners else None

    def clear(self) -> None:
        """Take everything out."""
        if not self._owners:
            return
        self._owners.clear()
        self._entries.clear()
        self._weights.clear()
        self._weight, self._ranking = 0, _Ranking()

    def _owner_for(self, key: KeyT) -> str:
        """Whose an entry is once it is put or used now."""
        user, owner = party(), self._owners.get(key)
        if self._party_of is not None:
            return self._party_of(key)
        if owner is None or user == owner:
            return user
        # It moves only where that makes the parts more even, lest it go to and fro.
        has_less = len(self._entries.get(user, ())) + 1 < len(self._entries[owner])
        return user if has_less else owner

    def _hold(self, owner: str, key: KeyT, value: ValueT) -> None:
        weight = self._weigh(value)
        self._owners[key] = owner
        self._entries.setdefault(owner, OrderedDict())[key] = value
        self._weights[owner] = self._weights.get(owner, 0) + weight
        self._weight += weight
        self._note(owner)

    def _take(self, key: KeyT) -> ValueT:
        owner = self._owners.pop(key)
        entries = self._entries[owner]
        value = entries.pop(key)
        weight = self._weigh(value)
        self._weights[owner] -= weight
        self._weight -= weight
        self._note(owner)
        if not entries:
            del self._entries[owner], self._weights[owner]
        return value

    def _note(self, owner: str) -> None:
        """Rank a party by its part of what there is room for: of the number, or of the weight."""
        number, weight = len(self._entries[owner]), self._weights[owner]
        part = max(number * (self._heaviest or 1), weight * self._limit)
        self._ranking.note(owner, part)


class ExpiringMap(Generic[KeyT, ValueT]):
    """A `BoundedMap` of which each value counts for so many seconds of `clock`."""

    def __init__(
        self,
        limit: int,
        clock: Callable[[], float],
        *,
        weigh: Callable[[ValueT], int] = lambda _: 0,
        heaviest: int = 0,
    ) -> None:
        self._clock = clock
        self._entries: BoundedMap[KeyT, tuple[float, ValueT]] = BoundedMap(
            limit, weigh=lambda entry: weigh(entry[1]), heaviest=heaviest
        )

    def __len__(self) -> int:
        """How many are held, those that have ended included."""
        return len(self._entries)

    def __iter__(self) -> Iterator[KeyT]:
        """As of a `BoundedMap`, those that have ended included."""
        return iter(self._entries)

    def get(self, key: KeyT) -> ValueT | None:
        """The value of a key, which thereby stays no longer; None: there is none that counts."""
        ends, value = self._entries.get(key) or (0.0, None)
        return value if value is not None and self._clock() < ends else None

    def use(self, key: KeyT) -> ValueT | None:
        """The value of a key, which becomes the last to go; None: there is none that counts."""
        value = self.get(key)
        if value is not None:
            self._entries.use(key)
        return value

    def put(self, key: KeyT, value: ValueT, seconds: float) -> None:
        """Hold a value for so long; it becomes the last to go."""
        self._entries.put(key, (self._clock() + seconds, value))

    def pop(self, key: KeyT) -> None:
        """Take a value out, if there is one."""
        self._entries.pop(key)


def remembered(
    limit: int,
) -> Callable[[Callable[ParametersT, ValueT]], Callable[ParametersT, ValueT]]:
    """Have what a pure function yields be kept, by its arguments, in a `BoundedMap`.

    As `functools.lru_cache` does, but for what takes so long that nobody may have it forgotten.
    """

    def decorated(compute: Callable[ParametersT, ValueT]) -> Callable[ParametersT, ValueT]:
        kept: BoundedMap[Hashable, tuple[ValueT]] = BoundedMap(limit)

        @wraps(compute)
        def looked_up(*args: ParametersT.args, **kwargs: ParametersT.kwargs) -> ValueT:
            key = (args, tuple(kwargs.items()))
            found = kept.use(key)
            if found is None:
                found = (compute(*args, **kwargs),)
                kept.put(key, found)
            return found[0]

        return looked_up

    return decorated
