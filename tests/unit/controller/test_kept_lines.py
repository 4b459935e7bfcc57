# SPDX-License-Identifier: Apache-2.0
"""Lines that are kept and replaced object by object: whatever the history, they are those of the
objects that there are, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import Key, Kind
from postroom.controller import kept_lines
from postroom.controller.kept_lines import KeptLines

METRICS = 3
keys = st.builds(Key, st.sampled_from(Kind), st.sampled_from("xy"), st.sampled_from("abcdefgh"))
lines = st.lists(st.sampled_from([b"\n", b"one\n", b"two and\r more\n"]), max_size=3).map(b"".join)
parts = st.lists(lines, min_size=METRICS, max_size=METRICS)
histories = st.lists(st.tuples(keys, st.none() | parts), max_size=60)
Model = dict[Key, list[bytes]]


@pytest.fixture(autouse=True)
def small_blocks() -> Iterator[None]:
    with patch.object(kept_lines, "MOST_OF_A_BLOCK", 3):
        yield


def replaying(
    history: list[tuple[Key, list[bytes] | None]],
) -> Iterator[tuple[KeptLines, Model]]:
    """Both at the beginning, and after each change."""
    kept, model = KeptLines(METRICS), Model()
    yield kept, model
    for key, told in history:
        if told is None:
            kept.drop(key)
            model.pop(key, None)
        else:
            kept.put(key, told)
            model[key] = told
        yield kept, model


def replayed(history: list[tuple[Key, list[bytes] | None]]) -> tuple[KeptLines, Model]:
    return list(replaying(history))[-1]


def expected(model: Model, metric: int, most: int | None) -> bytes:
    text = b""
    ordered = sorted(model, key=lambda key: (key.namespace, key))
    for _, group in groupby(ordered, key=lambda key: key.namespace):
        told = b"".join(model[key][metric] for key in group)
        found = [line + b"\n" for line in told.split(b"\n")[:-1]]
        text += b"".join(found[:most])
    return text


@given(histories, st.none() | st.integers(0, 9))
def test_they_are_those_of_the_objects_that_there_are(
    history: list[tuple[Key, list[bytes] | None]], most: int | None
) -> None:
    kept, model = replayed(history)
    for metric in range(METRICS):
        told, left_out = kept.of_metric(metric, most)
        assert b"".join(told) == expected(model, metric, most)
        counts = Counter[str]()
        for key, parts in model.items():
            counts[key.namespace] += parts[metric].count(b"\n")
        beyond = {
            space: count - (count if most is None else most) for space, count in counts.items()
        }
        assert left_out == sorted((space, count) for space, count in beyond.items() if count > 0)


@given(histories, st.none() | st.integers(0, 9))
def test_what_was_told_before_is_not_told_again_once_it_changed(
    history: list[tuple[Key, list[bytes] | None]], most: int | None
) -> None:
    for kept, model in replaying(history):
        for metric in range(METRICS):
            assert b"".join(kept.of_metric(metric, most)[0]) == expected(model, metric, most)


def test_what_has_not_changed_is_not_gathered_again() -> None:
    kept, key = KeptLines(2), Key(Kind.EMAIL_ACCOUNT, "mail", "desk")
    kept.put(key, [b"a\n", b"b\n"])
    first, second = kept.of_metric(0), kept.of_metric(1)
    kept.put(key, [b"a\n", b"c\n"])
    assert kept.of_metric(0) is first
    assert kept.of_metric(1) is not second


def test_many_are_told_in_few_pieces() -> None:
    """What telling costs is the pieces, not the objects."""
    kept = KeptLines(1)
    with patch.object(kept_lines, "MOST_OF_A_BLOCK", 128):
        for number in range(1000):
            kept.put(Key(Kind.EMAIL_ACCOUNT, "mail", f"n{number * 7919 % 1000}"), [b"line\n"])
    assert len(kept.of_metric(0)[0]) <= 2 * 1000 / 128 + 1
