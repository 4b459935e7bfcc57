# SPDX-License-Identifier: Apache-2.0
"""How long a server asks to be left alone, in its own words."""

import re
from datetime import timedelta

_LONGEST_WAIT = timedelta(days=1)
#: Exchange Online, in milliseconds.
_BACK_OFF = re.compile(r"suggested backoff time: (\d{1,12}) milliseconds")
#: Anyone: "try again in 92 seconds", "wait one hour", "retry after 1h", "in 5-10 minutes".
_IN_A_WHILE = re.compile(
    r"\b(?:in|for|after|wait)\s(?:about |at least |another )?(?:\d{1,5} ?(?:-|to) ?)?"
    r"(\d{1,5}|an?|one) ?(sec|min|hour|day|(?<=\d)(?:[smhd]|hrs?)\b|(?<=\d )hrs?\b)"
)
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def suggested_wait(words: str) -> timedelta | None:
    """How long the server asks to be left alone, believed up to a day; None: it does not say."""
    found = _BACK_OFF.search(words)
    if found:
        return min(timedelta(milliseconds=int(found[1])), _LONGEST_WAIT)
    found = _IN_A_WHILE.search(words)
    if found is None:
        return None
    number = 1 if found[1].startswith(("a", "o")) else int(found[1])
    return min(number * _UNITS[found[2][0]], _LONGEST_WAIT)
