# SPDX-License-Identifier: Apache-2.0
"""What a reconciliation yields: the whole status, what to tell people, and when to look again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from postroom.api.status import CommonStatus


class NoticeType(StrEnum):
    """The types of a Kubernetes Event: Warning only if a human should act."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Notice:
    """One Event worth posting: a transition, never a repetition."""

    type: NoticeType
    reason: str
    message: str


class Memory:
    """What a reconciler remembers of an object between runs in one process.

    Losing it costs a repeated look, never a wrong verdict: `first_failures` holds when each
    condition that status shows as True was first seen failing (epoch seconds); `rejected` names
    credential versions that a server rejected, which are not tried again.
    """

    def __init__(self) -> None:
        self.first_failures: dict[str, float] = {}
        self.rejected: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one run.

    `status` is complete: the writer replaces the stored status by it where they differ in more
    than `last_check_time`. `next_check` is how long to wait before looking again; None means
    only when something changes. `references` are the keys (``Secret/name``,
    ``MailServer/name``, ...) whose change must bring this object back.
    """

    status: CommonStatus
    next_check: timedelta | None
    notices: tuple[Notice, ...] = ()
    references: frozenset[str] = field(default_factory=frozenset)
