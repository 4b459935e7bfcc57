# SPDX-License-Identifier: Apache-2.0
"""What of a live object is a difference from the captured one, and what is left out of both."""

import copy
from typing import Any

import pytest

from postroom.api.names import Kind
from state_map import Case, State, differences, without_accidents

CAPTURED = Case(Kind.MAIL_SERVER, State.REGRESSED).captured()


def changed(**status: Any) -> dict[str, Any]:
    live = copy.deepcopy(CAPTURED)
    live["status"] |= status
    return live


def test_what_came_since_and_what_is_put_better_is_no_difference() -> None:
    live = changed(cameSince=[{"a": 1}])
    live["status"]["conditions"][0]["message"] = "Put better."
    assert list(differences(live, CAPTURED)) == []


@pytest.mark.parametrize(
    "live",
    [changed(endpoint="elsewhere:25"), changed(conditions=[]), changed(findings=None)],
)
def test_what_changed_or_went_is_a_difference(live: dict[str, Any]) -> None:
    assert len(list(differences(live, CAPTURED))) == 1


def test_a_sentence_that_went_is_a_difference() -> None:
    live = copy.deepcopy(CAPTURED)
    del live["status"]["conditions"][0]["message"]
    (found,) = differences(live, CAPTURED)
    assert found.startswith(".status.conditions[0].message: None, not ")


def test_times_ids_and_the_namespace_are_left_out() -> None:
    live = {
        "metadata": {"name": "a", "namespace": "test-1", "uid": "x", "resourceVersion": "77"},
        "status": {"at": "2026-01-02T03:04:05Z", "message": "in test-1", "refusals": 3},
    }
    assert without_accidents(live) == {
        "metadata": {"name": "a", "namespace": "mail", "resourceVersion": "1"},
        "status": {"at": "2026-11-29T12:00:00Z", "message": "in mail"},
    }
