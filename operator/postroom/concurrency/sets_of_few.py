# SPDX-License-Identifier: Apache-2.0
"""Many sets by key, most of which have one member."""

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
MemberT = TypeVar("MemberT", bound=Hashable)


class SetsOfFew(Generic[KeyT, MemberT]):
    """Sets by key, empty where nothing was added. For one event loop.

    The only member of one is kept bare: a set takes as much room as four of them. So no member is a
    set itself.
    """

    def __init__(self) -> None:
        self._members: dict[KeyT, MemberT | set[MemberT]] = {}

    def __len__(self) -> int:
        return len(self._members)

    def of(self, key: KeyT) -> Collection[MemberT]:
        """Return the members, each once; must not be changed."""
        there = self._members.get(key)
        if there is None:
            return ()
        return there if isinstance(there, set) else (there,)

    def add(self, key: KeyT, member: MemberT) -> None:
        """Put a member in."""
        there = self._members.setdefault(key, member)
        if isinstance(there, set):
            there.add(member)
        elif there != member:
            self._members[key] = {there, member}

    def discard(self, key: KeyT, member: MemberT) -> None:
        """Take a member out, if it is there."""
        there = self._members.get(key)
        if isinstance(there, set):
            there.discard(member)
        if there in (member, set()):
            del self._members[key]
