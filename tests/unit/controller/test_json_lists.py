# SPDX-License-Identifier: Apache-2.0
"""A list decoded entry by entry says what it says as a whole, and is refused where that is; what
is encoded says what it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.controller import json_lists

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text().filter(lambda name: name not in ("items", json_lists.ENTRY))
#: How else JSON may be written.
LOOKS: list[dict[str, Any]] = [{}, {"indent": 2}, {"separators": (",", ":")}, {"indent": "\t"}]


def put_together(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in json_lists.members(text):
        if name == json_lists.ENTRY:
            found.setdefault("items", []).append(value)
        else:
            found[name] = value
    return found


@given(st.dictionaries(NAMES, VALUES), st.lists(VALUES), st.sampled_from(LOOKS))
def test_it_says_what_it_says_as_a_whole(
    others: dict[str, Any], items: list[Any], look: dict[str, Any]
) -> None:
    names = sorted(others)
    parts = [(name, others[name]) for name in names[::2]]
    whole = dict([*parts, ("items", items), *((name, others[name]) for name in names[1::2])])
    found = put_together(f" {json.dumps(whole, **look)}\n")
    assert {"items": [], **found} == whole


@pytest.mark.parametrize("items", [None, {"a": 1}, "text", 5])
def test_items_that_are_no_list_are_a_member_like_others(items: Any) -> None:
    assert list(json_lists.members(json.dumps({"items": items}))) == [("items", items)]


@given(st.text(alphabet='{}[]:,"items01 n\\', max_size=30) | st.text())
def test_it_is_refused_where_the_whole_is(text: str) -> None:
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    if isinstance(whole, dict):
        if not isinstance(whole.get("items", 0), list):
            assert put_together(text) == whole
    else:
        with pytest.raises(json.JSONDecodeError):
            put_together(text)


@given(st.data())
def test_a_torn_list_has_what_came_before(data: st.DataObject) -> None:
    items = [{"name": f"n{number}", "text": "x" * number} for number in range(6)]
    text = json.dumps({"kind": "List", "items": items, "metadata": {}})
    cut = data.draw(st.integers(0, len(text) - 1))
    found: list[Any] = []
    with pytest.raises(json.JSONDecodeError):
        for name, value in json_lists.members(text[:cut]):
            if name == json_lists.ENTRY:
                found.append(value)
    ends = [text.index(json.dumps(each)) + len(json.dumps(each)) for each in items]
    assert found == [each for each, end in zip(items, ends, strict=True) if end <= cut]


@given(VALUES, st.sampled_from(LOOKS), st.booleans())
def test_an_object_says_what_it_says_to_json(value: Any, look: dict[str, Any], plain: bool) -> None:
    text = json.dumps(value, ensure_ascii=plain, **look).encode("utf-8", "surrogatepass")
    assert outcome(json_lists.decoded, text) == outcome(json.loads, text)


@given(st.text(alphabet='{}[]:,"items01-.eE nulltrue\\ud8', max_size=30) | st.text())
def test_what_is_no_json_is_refused(text: str) -> None:
    octets = text.encode("utf-8", "surrogatepass")
    assert outcome(json_lists.decoded, octets) == outcome(json.loads, octets)


def test_an_object_that_is_deeper_than_most_is_decoded() -> None:
    text = b'{"a":' * 400 + b"1" + b"}" * 400
    assert json_lists.decoded(text) == json.loads(text)


def outcome(decode: Callable[[bytes], Any], text: bytes) -> str:
    """What is decoded, numbers as they are written in Python; or that it is refused."""
    try:
        return repr(decode(text))
    except ValueError:
        return "refused"


@given(VALUES)
def test_what_is_encoded_says_what_it_is(value: object) -> None:
    assert json.loads(json_lists.encoded(value)) == value


def test_half_of_a_surrogate_pair_and_any_depth_are_encoded_as_python_does() -> None:
    deep: dict[str, object] = {"half": "\ud800"}
    for _ in range(400):
        deep = {"deeper": deep}
    assert json.loads(json_lists.encoded(deep)) == deep


def test_what_json_has_no_form_for_is_not_encoded() -> None:
    with pytest.raises(TypeError):
        json_lists.encoded({"what": object()})
