# SPDX-License-Identifier: Apache-2.0
"""Equal texts are kept once, nothing is changed by it, and no text costs a call."""

from __future__ import annotations

import json
import sys
from types import FrameType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from postroom.controller import text_pool
from postroom.controller.text_pool import LONGEST, pooled

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
    assert pooled(value) == value


@given(st.lists(values, max_size=3))
def test_short_texts_of_values_that_came_apart_are_the_same_objects(value: object) -> None:
    one, other = pooled(decoded(value)), pooled(decoded(value))
    for text, again in zip(texts(one), texts(other), strict=True):
        assert text is again or len(text) > LONGEST


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
