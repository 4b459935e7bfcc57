# SPDX-License-Identifier: Apache-2.0
"""What is told of a Ready that changes: failures, why else, and recovery; no first success."""

from __future__ import annotations

import pytest

from postroom.api.conditions import Condition, ConditionStatus, ConditionType
from postroom.api.times import timestamp
from postroom.reconcile.status.outcome import Notice, NoticeType
from postroom.reconcile.status.summarize import notices_of
from unit.reconcile.assessments import NOW


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (None, None, None),
        (("True", "Succeeded"), None, None),
        (None, ("True", "Succeeded"), None),
        (("True", "Succeeded"), ("True", "Succeeded"), None),
        (("Unknown", "Pending"), ("True", "Succeeded"), None),
        (("Unknown", "Progressing"), ("True", "Succeeded"), None),
        (("Unknown", "ObservationStale"), ("True", "Succeeded"), NoticeType.NORMAL),
        (("Unknown", "Suspended"), ("True", "Succeeded"), NoticeType.NORMAL),
        (("Unknown", "LookupFailed"), ("True", "Succeeded"), NoticeType.NORMAL),
        (("False", "RecordNotFound"), ("True", "Succeeded"), NoticeType.NORMAL),
        (None, ("False", "RecordNotFound"), NoticeType.WARNING),
        (("True", "Succeeded"), ("False", "RecordNotFound"), NoticeType.WARNING),
        (("Unknown", "Progressing"), ("False", "RecordNotFound"), NoticeType.WARNING),
        (("False", "RecordNotFound"), ("False", "RecordNotFound"), None),
        (("False", "RecordNotFound"), ("False", "RecordMismatch"), NoticeType.WARNING),
        (("False", "RecordMismatch"), ("False", "RecordNotFound"), NoticeType.WARNING),
        (("True", "Succeeded"), ("Unknown", "ObservationStale"), NoticeType.WARNING),
        (("True", "Succeeded"), ("Unknown", "Suspended"), None),
        (("True", "Succeeded"), ("Unknown", "LookupFailed"), None),
        (None, ("Unknown", "Progressing"), None),
    ],
)
def test_only_what_changes_for_people_is_told(
    old: tuple[str, str] | None, new: tuple[str, str] | None, told: NoticeType | None
) -> None:
    def stored(ready: tuple[str, str] | None) -> tuple[Condition, ...]:
        if ready is None:
            return ()
        status, reason = ready
        return (
            Condition(
                type=ConditionType.READY,
                status=ConditionStatus(status),
                observed_generation=1,
                last_transition_time=timestamp(NOW),
                # As it is read from JSON: equal, and another object.
                reason="".join(list(reason)),
                message=reason,
            ),
        )

    notices = notices_of(stored(old), stored(new))
    wanted = [] if told is None or new is None else [Notice(told, new[1], new[1])]
    assert list(notices) == wanted
