# SPDX-License-Identifier: Apache-2.0
"""Equal parts are kept once, nothing is changed by it, and no text costs a call."""

from __future__ import annotations

import json
import sys
from types import FrameType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from postroom.controller import text_pool
from postroom.controller.text_pool import LONGEST, pooled, shared

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=2 * LONGEST),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=200), inner),
    max_leaves=20,
)


def decoded(value: object) -> Any:
    """As if it had come by itself."""
    return json.loads(json.dumps(value))


def texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [*value, *(text for inner in value.values() for text in texts(inner))]
        case list():
            return [text for inner in value for text in texts(inner)]
    return []


@given(values)
def test_what_comes_out_is_what_went_in(value: object) -> None:
    # As JSON, since 1 is True to Python.
    assert json.dumps(pooled(value)) == json.dumps(shared(value)) == json.dumps(value)


@given(st.lists(values, max_size=3))
def test_short_texts_of_values_that_came_apart_are_the_same_objects(value: object) -> None:
    one, other = pooled(decoded(value)), pooled(decoded(value))
    for text, again in zip(texts(one), texts(other), strict=True):
        assert text is again or len(text) > LONGEST


SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text("ab")


@given(st.lists(st.dictionaries(st.sampled_from("abc"), SCALARS), max_size=40))
def test_objects_that_are_nearly_the_same_stay_apart(objects: list[dict[str, object]]) -> None:
    assert json.dumps(pooled(objects)) == json.dumps(shared(objects)) == json.dumps(objects)


def test_objects_of_texts_and_whole_numbers_that_are_the_same_are_one() -> None:
    condition = {"type": "Ready", "status": "True", "observedGeneration": 1}
    one, other = pooled([condition]), pooled(decoded([condition]))
    assert one[0] is other[0]
    assert pooled([{**condition, "observedGeneration": True}])[0] is not one[0]
    assert shared({"conditions": decoded([condition])})["conditions"][0] is one[0]


def test_of_lists_of_nothing_there_is_one() -> None:
    assert pooled({"findings": []})["findings"] is shared({"usedBy": []})["usedBy"]


def test_what_is_looked_at_as_a_whole_is_nobody_elses() -> None:
    spec = {"host": "smtp.example.com"}
    assert pooled(spec) is not pooled(spec)


def test_few_objects_are_remembered() -> None:
    for number in range(2_000):
        pooled([{"number": number}])
    assert len(text_pool._objects) <= text_pool._LATELY


def test_the_pool_does_not_grow_for_ever() -> None:
    for number in range(30_000):
        pooled([f"text {number}"])
    assert len(text_pool._pool) <= text_pool._LIMIT + 1


def test_a_call_is_made_for_each_object_and_list_and_for_no_text() -> None:
    conditions = [{name: f"{name} {number}" for name in "abcdef"} for number in range(10)]
    status = {"conditions": conditions, "text": "text"}
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_name == "pooled"

    sys.setprofile(count)
    try:
        pooled(status)
    finally:
        sys.setprofile(None)
    assert calls == 1 + 1 + len(conditions)
