# SPDX-License-Identifier: Apache-2.0
"""What another version, or a hand, wrote into a status takes nothing else from what is told."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.mailserver import MailServerStatus
from postroom.api.names import Kind
from postroom.api.resource import parse_status
from postroom.api.status import Use, User
from postroom.api.stored import readable
from stored import VERSIONS, holds, objects

READY = {
    "type": "Ready",
    "status": "True",
    "observedGeneration": 3,
    "lastTransitionTime": "2026-11-21T12:00:00Z",
    "reason": "Succeeded",
    "message": "Well.",
}
USER = {"kind": "EmailAccount", "name": "support", "use": "Server"}
STORED = objects(VERSIONS[-1])


def read(raw: dict[str, Any]) -> dict[str, Any]:
    before = deepcopy(raw)
    found = parse_status(Kind.EMAIL_ACCOUNT, raw)
    assert raw == before
    return found.model_dump(mode="json", by_alias=True, exclude_defaults=True)


@pytest.mark.parametrize(
    ("strange", "left"),
    [
        ({"future": {"deep": [1]}}, {}),
        ({"lastSync": 7}, {}),
        ({"lastSync": "yesterday"}, {}),
        ({"lastSync": "2026-02-30T00:00:00Z"}, {}),
        ({"lastSync": "0001-01-01T00:00:00Z"}, {}),
        ({"lastSync": "9999-12-31T23:59:59Z"}, {}),
        ({"conditions": "none"}, {}),
        ({"conditions": [READY, 7, None, {**READY, "type": "Future"}]}, {"conditions": [READY]}),
        ({"conditions": [READY, {**READY, "reason": "Future"}]}, {"conditions": [READY]}),
        ({"conditions": [{**READY, "future": 1}, READY]}, {"conditions": [READY, READY]}),
        ({"usedBy": [USER] * 25}, {"usedBy": [USER] * 20}),
        ({"usedBy": [USER, {**USER, "name": None}]}, {"usedBy": [USER]}),
        (
            {"lastTest": {"nonce": "n1", "result": {"outcome": "Future"}}},
            {"lastTest": {"nonce": "n1"}},
        ),
        ({"lastTest": {"nonce": 7}}, {}),
    ],
)
def test_what_cannot_be_read_takes_nothing_else_with_it(
    strange: dict[str, Any], left: dict[str, Any]
) -> None:
    known = {"observedGeneration": 3, "lastHandledReconcileAt": "now"}
    assert read({**known, **strange}) == {**known, **left}


def test_nothing_is_read_of_what_lacks_what_is_needed() -> None:
    assert readable(User, USER) == User(kind="EmailAccount", name="support", use=Use.SERVER)
    assert readable(User, {**USER, "use": "Future"}) is None
    assert readable(User, {}) is None


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The mappings of a status."""
    if isinstance(value, dict):
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in entries:
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, name))


@given(st.data())
def test_a_field_that_is_not_known_anywhere_is_left_out_alone(data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from(STORED))
    status = deepcopy(raw["status"])
    for path in data.draw(st.lists(st.sampled_from(list(places(status))), min_size=1, max_size=4)):
        holder: Any = status
        for part in path:
            holder = holder[part]
        holder["future"] = data.draw(st.sampled_from([None, 1, "x", [], {"a": [1]}]))
    kind = Kind(raw["kind"])
    assert parse_status(kind, status) == parse_status(kind, raw["status"])


@given(st.data())
def test_an_entry_that_cannot_be_read_leaves_all_others(data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from(STORED))
    status = deepcopy(raw["status"])
    wrong = data.draw(st.integers(0, len(status["conditions"]) - 1))
    field = data.draw(st.sampled_from(["type", "status", "reason", "lastTransitionTime"]))
    status["conditions"][wrong][field] = "Future"
    found = parse_status(Kind(raw["kind"]), status)
    expected = deepcopy(raw["status"])
    del expected["conditions"][wrong]
    assert holds(found.model_dump(mode="json", by_alias=True, exclude_none=True), expected)


def test_a_status_of_which_nothing_can_be_read_counts_as_never_written() -> None:
    assert parse_status(Kind.MAIL_SERVER, {"conditions": 1, "x": 2}) == MailServerStatus()
