# SPDX-License-Identifier: Apache-2.0
"""Which addresses have accounts in several namespaces, which do not see each other."""

from __future__ import annotations

from postroom.api.names import Key


class AddressBook:
    """The accounts of a world by address, whose case receivers fold. For one event loop."""

    def __init__(self) -> None:
        self._addresses: dict[Key, str] = {}
        self._accounts: dict[str, set[Key]] = {}

    def note(self, key: Key, address: str) -> None:
        """An account is for an address."""
        self.forget(key)
        folded = self._addresses[key] = address.lower()
        self._accounts.setdefault(folded, set()).add(key)

    def forget(self, key: Key) -> None:
        """An account is no more, or for no address that can be understood."""
        folded = self._addresses.pop(key, None)
        if folded is None:
            return
        accounts = self._accounts[folded]
        accounts.discard(key)
        if not accounts:
            del self._accounts[folded]

    def is_shared(self, address: str) -> bool:
        """Whether accounts of more than one namespace are for an address."""
        return len({key.namespace for key in self._accounts.get(address.lower(), ())}) > 1

    def elsewhere(self, namespace: str, address: str) -> list[Key]:
        """Return the accounts of other namespaces for an address, sorted."""
        accounts = self._accounts.get(address.lower(), ())
        return sorted(key for key in accounts if key.namespace != namespace)
