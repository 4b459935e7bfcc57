# SPDX-License-Identifier: Apache-2.0
"""Which mailboxes of an account wait, until when, and why. Pure: times are seconds of one clock.

A mailbox waits alone: what keeps the messages of one from being handed over, be it one that the
application refuses for two days, or a folder that does not open, is in nobody else's way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from postroom.api.reasons import Reason

#: In the place of a mailbox: the session, without which all of them wait.
SESSION = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something waits, as its condition has it."""

    reason: Reason
    message: str
    #: Whether that is known; otherwise it could not be looked at.
    sure: bool = True


NO_ROOM = Trouble(
    Reason.AWAITING_DEPENDENCY,
    "The next message waits in the mailbox for room in postroom deliver, which those of other "
    "accounts have; it comes by itself. Where that is often so, have an administrator raise "
    "--spool.",
    sure=False,
)
NO_SESSION = Trouble(
    Reason.AWAITING_DEPENDENCY,
    "The mailbox waits for one of the sessions that postroom deliver has at a time, which other "
    "accounts have; its turn comes by itself. Where that is often so, have an administrator raise "
    "--sessions-per-namespace or --sessions, and the memory with it.",
    sure=False,
)


def cursor_unreadable(mailbox: str) -> Trouble:
    """A mailbox waits for somebody: where it is to go on from is written, and cannot be read."""
    message = (
        f"The cursor of mailbox {mailbox} in status.inbound.cursors cannot be read, so nothing is "
        "handed over from it: run the version of postroom deliver that wrote it; or remove "
        "spec.inbound.deliver, wait until status has no cursors, and put it back."
    )
    return Trouble(Reason.CURSOR_UNREADABLE, message)


@dataclass(frozen=True, slots=True)
class _Hold:
    failures: int
    until: float
    trouble: Trouble
    told: bool


class Holds:
    """What waits in one account, by mailboxes, and how often in a row each has failed."""

    def __init__(self) -> None:
        self._holds: dict[str, _Hold] = {}
        #: What is in the way of the message that is worked on, though no mailbox waits.
        self.passing: Trouble | None = None

    def failures(self, mailbox: str) -> int:
        """How often in a row it has failed."""
        hold = self._holds.get(mailbox)
        return hold.failures if hold is not None else 0

    def hold(self, mailbox: str, until: float, trouble: Trouble, *, told: bool = True) -> None:
        """Have it wait, once more; `told`: whether its trouble is worth telling already."""
        self._holds[mailbox] = _Hold(self.failures(mailbox) + 1, until, trouble, told)

    def release(self, mailbox: str) -> None:
        """It works."""
        self._holds.pop(mailbox, None)

    def due(self, mailboxes: Sequence[str], at: float) -> list[str]:
        """Those that do not wait."""
        return [mailbox for mailbox in mailboxes if self._until(mailbox) <= at]

    def next_due(self, mailboxes: Sequence[str]) -> float:
        """When the first of them no longer waits."""
        return min(self._until(mailbox) for mailbox in mailboxes)

    def next_end(self, at: float) -> float:
        """When the next one of all that wait ends waiting; infinite if none does."""
        ends = (hold.until for hold in self._holds.values() if hold.until > at)
        return min(ends, default=float("inf"))

    @property
    def trouble(self) -> Trouble | None:
        """What there is to tell: the trouble that lasts longest."""
        told = (hold.trouble for hold in self._holds.values() if hold.told)
        return self.passing or next(told, None)

    def _until(self, mailbox: str) -> float:
        ends = [hold.until for key in (SESSION, mailbox) if (hold := self._holds.get(key))]
        return max(ends, default=0.0)
