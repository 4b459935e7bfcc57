# SPDX-License-Identifier: Apache-2.0
"""metav1.Time: how Kubernetes writes a time."""

import functools
import re
from datetime import UTC, datetime, timedelta

#: So far apart may the clocks of two machines be that both count as right.
SKEW = timedelta(minutes=10)
#: As this writes it, and any API server.
_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z")


def timestamp(moment: datetime) -> str:
    """Write a time as metav1.Time does: RFC 3339, UTC, whole seconds."""
    return _text_of(moment.astimezone(UTC).replace(microsecond=0))


# A status has a time several times, and so have those that were made in the same second.
@functools.lru_cache(maxsize=64)
def _text_of(second: datetime) -> str:
    return second.isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def parse_timestamp(text: str) -> datetime:
    """Read a metav1.Time; raises `ValueError`."""
    if _WRITTEN.fullmatch(text):
        # A tenth of what `strptime` takes, which reads what was written less exactly, too.
        return datetime.fromisoformat(text)
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def time_of(text: str | None) -> datetime | None:
    """Read a time that somebody else wrote; None where it is none."""
    try:
        return None if text is None else parse_timestamp(text)
    except ValueError:
        return None


def is_far_ahead(text: str, now: str) -> bool:
    """Whether a time lies further ahead of another than clocks may differ: it was told by one that
    was wrong."""
    return parse_timestamp(text) - parse_timestamp(now) > SKEW


def no_later(text: str, now: str) -> str:
    """Since when something is, as a status tells; now, where the clock that told it was wrong."""
    return now if text > now and is_far_ahead(text, now) else text
