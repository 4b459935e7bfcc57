# SPDX-License-Identifier: Apache-2.0
"""Maps that hold no more than so much, whatever is put into them. Pure."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")

#: Entries in excess that are looked at when one is put: all of them may be in use.
_LOOKS = 8


class BoundedMap(Generic[KeyT, ValueT]):
    """At most `limit` entries; those that were not put or used for longest go first.

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
    ) -> None:
        self._limit, self._weigh, self._heaviest = limit, weigh, heaviest
        self._in_use = in_use
        self._entries: OrderedDict[KeyT, ValueT] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: KeyT) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[KeyT]:
        """From the entry that goes first to the newest."""
        return iter(self._entries)

    def get(self, key: KeyT) -> ValueT | None:
        """The value of a key, which thereby stays no longer; None: there is none."""
        return self._entries.get(key)

    def use(self, key: KeyT) -> ValueT | None:
        """The value of a key, which becomes the last to go; None: there is none."""
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def use_or_make(self, key: KeyT, make: Callable[[], ValueT]) -> ValueT:
        """The value of a key, made where there is none; it becomes the last to go."""
        if key not in self._entries:
            self.put(key, make())
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: KeyT, value: ValueT) -> None:
        """Hold a value, which becomes the last to go."""
        self.pop(key)
        self._entries[key] = value
        self._weight += self._weigh(value)
        for _ in range(min(len(self._entries) - self._limit, _LOOKS)):
            oldest = next(iter(self._entries))
            if self._in_use(self._entries[oldest]):
                self._entries.move_to_end(oldest)
            else:
                self.pop(oldest)
        while self._weight > self._heaviest:
            self.pop(next(iter(self._entries)))

    def pop(self, key: KeyT) -> ValueT | None:
        """Take a value out; None: there is none."""
        if key not in self._entries:
            return None
        value = self._entries.pop(key)
        self._weight -= self._weigh(value)
        return value

    def clear(self) -> None:
        """Take everything out."""
        self._entries.clear()
        self._weight = 0


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
        """From the entry that goes first to the newest, those that have ended included."""
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
