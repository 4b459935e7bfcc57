# SPDX-License-Identifier: Apache-2.0
"""What a provider lists for a mailbox, or why there is no list."""

from dataclasses import dataclass
from typing import Protocol

from postroom.api.identities import IdentityState, IdentityType
from postroom.api.oauth import MicrosoftCloud, OAuthProvider
from postroom.api.reasons import Reason
from postroom.mail.oauth.grant import Grant


def same(one: str, other: str) -> bool:
    """Whether two addresses are one to a mail provider, to whom case is nothing.

    RFC 5321 section 2.4 leaves the case of the local part to its host; both providers ignore it.
    """
    return one.casefold() == other.casefold()


@dataclass(frozen=True, slots=True)
class ListedIdentity:
    """One address of a list; `state` is UNVERIFIABLE where the list does not say."""

    address: str
    type: IdentityType
    state: IdentityState
    display_name: str | None = None


@dataclass(frozen=True, slots=True)
class Discovered:
    """A provider's list.

    It is complete for the types in `decides`: another address of such a type is none. `mailbox`
    is the one that it is about. Where it was `cut`, it goes on beyond what was read.
    """

    provider: OAuthProvider
    mailbox: str
    listed: tuple[ListedIdentity, ...]
    decides: frozenset[IdentityType]
    cut: bool = False

    def find(self, address: str) -> ListedIdentity | None:
        """Return what the list says of an address."""
        return next((identity for identity in self.listed if same(identity.address, address)), None)


@dataclass(frozen=True, slots=True)
class DiscoveryFailure:
    """Why there is no list: never a verdict on an identity.

    `message` is deterministic and names the fix. `passing` failures say nothing about what was
    found earlier. `retry_after` is in seconds, where the provider asks for a pause.
    """

    reason: Reason
    message: str
    passing: bool = False
    retry_after: float | None = None


class IdentitySource(Protocol):
    """Asks providers. Implementations never raise for what providers or networks do."""

    async def identities(
        self, grant: Grant, cloud: MicrosoftCloud | None
    ) -> Discovered | DiscoveryFailure:
        """List the addresses of the mailbox that a grant of Google or Microsoft is for."""
        ...


class NoIdentities:
    """An `IdentitySource` where nobody may be asked."""

    async def identities(
        self, grant: Grant, cloud: MicrosoftCloud | None
    ) -> Discovered | DiscoveryFailure:
        """The failure that tells that nobody is asked."""
        return DiscoveryFailure(
            Reason.IDENTITY_UNVERIFIABLE, "This process asks no provider for its identities."
        )
