# SPDX-License-Identifier: Apache-2.0
"""Processes that would work: each has a Lease, and waits for others once it holds that."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable

from postroom.controller.lease import LeaderElection


class Contender:
    """A process by its election; `join` tries once whether others let it work."""

    _serial = itertools.count()

    election: LeaderElection
    joined = False

    @classmethod
    def new_identity(cls) -> str:
        return f"process-{next(cls._serial)}"

    def __init__(self, election: LeaderElection, join: Callable[[], Awaitable[bool]]) -> None:
        self.election, self._join = election, join

    async def step(self) -> None:
        """Try once to get one step further."""
        if not self.election.leading:
            self.election.leading = await self.election._attempt()
        elif not self.joined:
            self.joined = await self._join()

    async def renew(self) -> None:
        """What `hold` does; one that is too late ends."""
        if self.election.leading and self.election._left() > 0:
            await self.election._attempt()
        elif self.election.leading:
            self.joined, self.election.leading = False, False

    @property
    def works(self) -> bool:
        """Whether it may write and send at this moment."""
        return self.joined and self.election.holds()
