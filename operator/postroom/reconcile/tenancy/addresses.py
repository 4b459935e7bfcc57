# SPDX-License-Identifier: Apache-2.0
"""Who keeps an address that accounts of several namespaces are for, which do not see each other.

The oldest account keeps it, but for one thing: who holds the address's domain goes before who does
not, so that nobody is kept from their own addresses by a neighbour who was quick. Accounts that are
suspended, disconnected or being deleted keep nothing from others: so an address is handed over.
Everything follows from the stored objects, so that the order of events and a restart change
nothing.
"""

from dataclasses import dataclass
from enum import StrEnum

from postroom.api.names import Key
from postroom.concurrency.sets_of_few import SetsOfFew
from postroom.dns.names import is_within
from postroom.reconcile.tenancy.claims import ClaimBook


class Contention(StrEnum):
    """How an account stands to those of other namespaces for its address."""

    NONE = "None"
    #: Others are refused because of it.
    KEPT = "Kept"
    #: It is refused because of another.
    LOST = "Lost"


@dataclass(frozen=True, slots=True)
class _Holding:
    """An account's address, its case folded as receivers do."""

    key: Key
    address: str
    created: str
    at_rest: bool

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


class AddressBook:
    """The accounts of a world by address. For one event loop."""

    def __init__(self) -> None:
        self._holdings: dict[Key, _Holding] = {}
        self._accounts: SetsOfFew[str, Key] = SetsOfFew()
        #: The addresses of more than one namespace.
        self._shared: set[str] = set()

    def note(self, key: Key, address: str, created: str = "", *, at_rest: bool = False) -> None:
        """An account is for an address, since `created`."""
        holding = _Holding(key, address.lower(), created, at_rest)
        if self._holdings.get(key) == holding:
            return  # as each picture of an account says anew
        self.forget(key)
        self._holdings[key] = holding
        self._accounts.add(holding.address, key)
        self._count(holding.address)

    def forget(self, key: Key) -> None:
        """An account is no more, or for no address that can be understood."""
        holding = self._holdings.pop(key, None)
        if holding is None:
            return
        self._accounts.discard(holding.address, key)
        self._count(holding.address)

    def _count(self, address: str) -> None:
        if len({key.namespace for key in self._accounts.of(address)}) > 1:
            self._shared.add(address)
        else:
            self._shared.discard(address)

    def contention(self, key: Key, claims: ClaimBook) -> Contention:
        """How an account stands to others; `claims` tell who holds the domain."""
        mine = self._holdings.get(key)
        if mine is None or mine.address not in self._shared:
            return Contention.NONE
        oldest: dict[str, _Holding] = {}
        for holding in sorted(
            (self._holdings[each] for each in self._accounts.of(mine.address)),
            key=lambda holding: (holding.created, holding.key),
        ):
            if not holding.at_rest:
                oldest.setdefault(holding.key.namespace, holding)
        if len(oldest) < 2:
            return Contention.NONE
        # `min` takes the first of equals, and they are in order of age.
        keeper = min(oldest, key=lambda namespace: not claims.vouches(namespace, mine.domain))
        return Contention.KEPT if keeper == key.namespace else Contention.LOST

    def address_of(self, key: Key) -> str:
        """Return the address of an account, folded; "" where it is for none."""
        holding = self._holdings.get(key)
        return holding.address if holding is not None else ""

    def elsewhere(self, namespace: str, address: str) -> list[Key]:
        """Return the accounts of other namespaces for an address, sorted."""
        accounts = self._accounts.of(address.lower())
        return sorted(key for key in accounts if key.namespace != namespace)

    def contended_in(self, domain: str) -> list[Key]:
        """Return the accounts of addresses at or below a domain that several namespaces have."""
        return sorted(
            key
            for address in self._shared
            if is_within(address.rpartition("@")[2], domain)
            for key in self._accounts.of(address)
        )
