# SPDX-License-Identifier: Apache-2.0
"""metav1.Time: how Kubernetes writes a time."""

from datetime import UTC, datetime, timedelta

#: So far apart may the clocks of two machines be that both count as right.
SKEW = timedelta(minutes=10)


def timestamp(moment: datetime) -> str:
    """Write a time as metav1.Time does: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def parse_timestamp(text: str) -> datetime:
    """Read a metav1.Time; raises `ValueError`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def is_far_ahead(text: str, now: str) -> bool:
    """Whether a time lies further ahead of another than clocks may differ: it was told by one that
    was wrong."""
    return parse_timestamp(text) - parse_timestamp(now) > SKEW
