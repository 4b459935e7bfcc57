# SPDX-License-Identifier: Apache-2.0
"""Places that are held for long, and given up where others wait for one. For one event loop.

Who has nothing to do rests, and leaves as soon as its place is needed; who works leaves once it has
had its turn. So however many share however few places, each has one again and again, and while
there is room for all nobody leaves.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from postroom.concurrency.shares import Line, Shares

#: Seconds for which a place is held by who works, though others wait for it.
TURN = 60.0
#: Seconds after which waiting is worth telling.
_LONG = 60.0


class GaveWay(Exception):
    """A place was given up, because another needs it; `rested`: there was nothing to do with it."""

    def __init__(self, *, rested: bool) -> None:
        super().__init__()
        self.rested = rested


class Place:
    """One place, awaited or held."""

    def __init__(self, party: str, places: "Places") -> None:
        self.party = party
        self._places, self._clock = places, asyncio.get_running_loop().time
        self.come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: Whether it is asked for, so that its holder leaves next.
        self.leaves = False
        self._since = 0.0
        self._rest: asyncio.Timeout | None = None

    def take(self) -> None:
        """Its turn has come."""
        self._since = self._clock()
        self.come.set_result(None)

    def ask(self) -> None:
        """Have its holder, who may go, leave for somebody else."""
        self.leaves = True
        if self._rest is not None:
            self._rest.reschedule(self._clock())

    def pause(self) -> None:
        """Something else may be begun; raises `GaveWay` where the turn is over and others wait."""
        if self._clock() - self._since >= TURN:
            with self._places.may_go(self):
                pass
            if self.leaves:
                raise GaveWay(rested=False)

    @asynccontextmanager
    async def resting(self) -> AsyncIterator[None]:
        """Nothing is done but wait while the block runs; raises `GaveWay` once others need it."""
        try:
            async with asyncio.timeout(None) as self._rest:
                with self._places.may_go(self):
                    if self.leaves:
                        raise GaveWay(rested=True)
                    yield
        except TimeoutError:
            if not self.leaves:
                raise
        finally:
            self._rest = None
        if self.leaves:
            raise GaveWay(rested=True)


class Places:
    """`total` places, at most `each` for one party; who waits is served as `Line` says, and has
    those leave for it who hold more than it does, or of its own party."""

    def __init__(self, total: int, each: int) -> None:
        self.total, self._each = total, each
        self._shares = Shares(total, each, revocable=True)
        self._line: Line[Place] = Line(self._shares)
        self._held: dict[str, set[Place]] = {}
        #: Of these, those that may be asked for; those first that have rested longest.
        self._resting: dict[str, dict[Place, None]] = {}
        #: Told whose place was given up for others.
        self.ceded: Callable[[str], None] = lambda party: None

    @property
    def taken(self) -> int:
        """How many are held."""
        return self._shares.taken

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._line)

    @asynccontextmanager
    async def place(
        self, party: str, waits: Callable[[bool], None] = lambda waits: None
    ) -> AsyncIterator[Place]:
        """Hold a place while the block runs; `waits` is told that it takes long until there is one,
        and that this is over."""
        place = Place(party, self)
        self._line.push(party, place)
        self._serve()
        try:
            await told_of(place.come, waits)
            yield place
        finally:
            self._leave(place)

    @contextmanager
    def may_go(self, place: Place) -> Iterator[None]:
        """Its holder leaves while the block runs, if it is asked to."""
        self._resting.setdefault(place.party, {})[place] = None
        self._seek()
        try:
            yield
        finally:
            self._stays(place)

    def _stays(self, place: Place) -> None:
        resting = self._resting.get(place.party, {})
        resting.pop(place, None)
        if not resting:
            self._resting.pop(place.party, None)

    def _serve(self) -> None:
        while (served := self._line.pop()) is not None:
            party, place = served
            if place.come.done():  # it has been given up, and did not get to say so yet
                self._shares.give_back(party)
                continue
            self._held.setdefault(party, set()).add(place)
            place.take()
        self._seek()

    def _leave(self, place: Place) -> None:
        held = self._held.get(place.party, set())
        if place in held:
            held.remove(place)
            if not held:
                del self._held[place.party]
            self._shares.give_back(place.party)
            if place.leaves:
                self.ceded(place.party)
        else:
            self._line.remove(place.party, place)
        self._serve()

    def _seek(self) -> None:
        """Take back as many places as are waited for, where shares do not become less even by it.

        What counts is what each party has once those have left who were asked before.
        """
        if not self._line or not self._resting:
            return
        waiting = self._line.waiting()
        left = dict.fromkeys(waiting, 0)
        left |= {name: sum(not each.leaves for each in held) for name, held in self._held.items()}
        room = self.total - sum(left.values())
        while waiting and self._resting:
            party = min(waiting, key=left.__getitem__)
            if room and left[party] < self._each:
                room -= 1  # somebody leaves already
            else:
                whose = max(self._resting, key=left.__getitem__)
                if left[party] >= min(left[whose], self._each):
                    whose = party
                if whose not in self._resting:
                    del waiting[party]
                    continue
                place = next(iter(self._resting[whose]))
                self._stays(place)
                place.ask()
                left[whose] -= 1
            left[party] += 1
            waiting[party] -= 1
            if not waiting[party]:
                del waiting[party]


async def told_of(come: asyncio.Future[None], waits: Callable[[bool], None]) -> None:
    """Wait for something, and tell of it where that takes long."""
    if come.done():
        return
    told = asyncio.get_running_loop().call_later(_LONG, waits, True)
    try:
        await come
    finally:
        if told.when() <= asyncio.get_running_loop().time():
            waits(False)
        told.cancel()
