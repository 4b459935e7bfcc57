# SPDX-License-Identifier: Apache-2.0
"""Keeping the refresh tokens that providers hand out anew: what a store does, and what it tells."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from postroom.api.masked import Masked
from postroom.mail.oauth.grant import Grant


class KeepingProblem(StrEnum):
    """Why a new refresh token is not kept."""

    #: This process has nowhere to keep it.
    NOT_AVAILABLE = "NotAvailable"
    #: The operator was not told that it may.
    NOT_ALLOWED = "NotAllowed"
    #: Something that is not ours stands where it would be kept.
    NAME_TAKEN = "NameTaken"
    #: The operator lacks the right.
    FORBIDDEN = "Forbidden"
    #: Nothing keeps the operator from other Secrets, so it writes none.
    UNGUARDED = "Unguarded"
    #: What would be written is not accepted.
    REFUSED = "Refused"
    #: It could not be written now; it is tried again with the next token.
    UNAVAILABLE = "Unavailable"


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a grant's refresh tokens are kept; `kept_at` is when one was written last (UTC)."""

    problem: KeepingProblem | None = None
    kept_at: datetime | None = None


NOT_KEPT = Keeping(KeepingProblem.NOT_AVAILABLE)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What was kept could not be read now; the sentence says so."""

    sentence: str


class RefreshTokenStore(Protocol):
    """Where refresh tokens outlive this process. Implementations never raise for what fails."""

    async def newest(self, grant: Grant) -> Masked | Unreadable | None:
        """Return the newest one that was kept, None if none descends from the grant's own."""
        ...

    async def keep(self, grant: Grant, token: Masked, *, refused: bool) -> None:
        """Take note of the newest one, and keep it if that is worth a write.

        `refused` tells that the provider has refused the one that was kept.
        """
        ...

    def keeping(self, grant: Grant) -> Keeping:
        """Return what is known of it."""
        ...
