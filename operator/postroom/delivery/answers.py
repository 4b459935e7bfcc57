# SPDX-License-Identifier: Apache-2.0
"""What an application's answer to a message means for the message and for those after it. Pure.

    answer                                    the message             those after it
    2xx                                       is handed over          go on
    408, 425, 429, 5xx, 3xx, no answer        is tried again          wait
    410                                       stays                   wait: nothing more is sent
    other 4xx                                 is tried for 48 hours,  wait, then go on
                                              then recorded

Nothing is ever dropped unsaid; only an explicit refusal that stands for two days passes a message
by, and status names it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum

from postroom.api.reasons import Reason
from postroom.delivery.cursors import Refused
from postroom.delivery.holds import Trouble

#: For how long a refused message is offered again.
REFUSED_FOR = timedelta(hours=48)
#: So often it was refused at least by then: a clock that is set forward, or a process that did not
#: run for two days, is no refusal.
_LEAST_ATTEMPTS = 24
#: An application may ask for any pause; none is longer than this.
LONGEST_PAUSE = timedelta(hours=1)

#: What is told of a message that was refused for so long that those after it go on.
PASSED_BY = "PassedBy"

_LATER = frozenset({408, 425, 429})
_GONE = 410


class Meaning(Enum):
    """What becomes of a message."""

    HANDED_OVER = "HandedOver"
    LATER = "Later"
    REFUSED = "Refused"
    STOP = "Stop"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its HTTP status, None where there was none, and the pause that it asks for.

    `trouble` is a clause, in the words of this program, that tells why there was none.
    """

    status: int | None
    retry_after: timedelta | None = None
    trouble: str = ""

    @property
    def meaning(self) -> Meaning:
        """See the table of this module."""
        status = self.status
        if status is None or status in _LATER:
            return Meaning.LATER
        if 200 <= status < 300:
            return Meaning.HANDED_OVER
        if status == _GONE:
            return Meaning.STOP
        return Meaning.REFUSED if 400 <= status < 500 else Meaning.LATER


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read ``Retry-After`` (RFC 9110 section 10.2.3), seconds or a date; None for what is neither.

    Bounded by `LONGEST_PAUSE`; a date that has passed is no pause.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text.lstrip("0")[:9] or "0")), LONGEST_PAUSE)
    try:
        until = parsedate_to_datetime(text)
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        return min(max(until - now, timedelta()), LONGEST_PAUSE)
    except (ValueError, TypeError, OverflowError, IndexError, AttributeError):
        return None


def is_passed_by(answer: Answer, refused: Refused, now: datetime) -> bool:
    """Whether a message has been refused for so long that those after it go on."""
    lasted = now - refused.since >= REFUSED_FOR
    return answer.meaning is Meaning.REFUSED and lasted and refused.attempts >= _LEAST_ATTEMPTS


_STAYS = "the message stays in the mailbox and is offered again."


def trouble(answer: Answer) -> Trouble:
    """Why a message is not handed over, for the condition."""
    status = answer.status
    if status is None:
        return Trouble(Reason.CONSUMER_UNAVAILABLE, f"{answer.trouble}; {_STAYS}")
    if answer.meaning is Meaning.STOP:
        return Trouble(
            Reason.CONSUMER_GONE,
            "The application answers 410 (Gone), so that nothing more is sent: change "
            "spec.inbound.deliver, or ask for a check once it takes mail again.",
        )
    if answer.meaning is Meaning.REFUSED:
        return Trouble(
            Reason.CONSUMER_REJECTS,
            f"The application refuses a message with {status}; it is offered again for 48 "
            "hours, and those after it wait. Read its log, and have it answer 2xx.",
        )
    if 300 <= status < 400:
        return Trouble(
            Reason.CONSUMER_UNAVAILABLE,
            f"The application answers {status}, a redirect, which is not followed: name the "
            "place itself in spec.inbound.deliver.service.",
        )
    return Trouble(Reason.CONSUMER_UNAVAILABLE, f"The application answers {status}; {_STAYS}")
