# SPDX-License-Identifier: Apache-2.0
"""What an object at rest says: that it is by somebody's wish, and not that anything failed."""

from __future__ import annotations

from postroom.api.conditions import ConditionStatus, ConditionType
from postroom.api.reasons import Reason
from postroom.reconcile.status.rest import SUSPENDED, Rest, resting


def test_a_rest_is_a_condition_that_is_true() -> None:
    verdict = resting(Reason.SUSPENDED_BY_SPEC, "Nobody looks.")
    assert (verdict.type, verdict.status) == (ConditionType.SUSPENDED, ConditionStatus.TRUE)
    assert (verdict.reason, verdict.message) == (Reason.SUSPENDED_BY_SPEC, "Nobody looks.")
    assert not verdict.failed


def test_a_suspended_object_keeps_what_it_has_and_stands_on_nothing() -> None:
    assert SUSPENDED.suspended.reason is Reason.SUSPENDED_BY_SPEC
    assert SUSPENDED.silenced is Reason.SUSPENDED
    assert Rest(SUSPENDED.suspended, SUSPENDED.silenced, SUSPENDED.unknown) == SUSPENDED
    assert (dict(SUSPENDED.fields), SUSPENDED.references, SUSPENDED.notices) == (
        {},
        frozenset(),
        (),
    )
