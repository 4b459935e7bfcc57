# SPDX-License-Identifier: Apache-2.0
"""JSON within texts: where its values stand, and characters that are two escapes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls import calls_of
from postroom.cli.json_texts import values_in, without_pairs


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{}", ["{}"]),
        (' {"a": 1}\n{} 5', ['{"a": 1}', "{}", "5"]),
        ("", []),
        ("5", []),
        ("[{}]", []),
        ("{}\n---\n{}", []),
        ("{a: 1}", []),
        ("{} # x", []),
        ("{" * 100_000, []),
        ('{"a":' * 100_000, []),
    ],
)
def test_where_values_stand(text: str, values: list[str]) -> None:
    assert [text[begin:end] for begin, end in values_in(text)] == values


@given(st.text(st.sampled_from('a\\u"😀d83e\ud83d')))
def test_what_is_written_with_pairs_means_the_same_without(said: str) -> None:
    written = json.dumps({"a": said})
    assert json.loads(without_pairs(written)) == json.loads(written)
    assert "\\ud83d\\ude00" not in without_pairs(json.dumps({"a": "😀"}))


def test_millions_of_characters_take_no_longer_than_they_must() -> None:
    def asked(values: int) -> int:
        text = '{"a": "\\ud83d\\ude00"}\n' * values
        return calls_of(lambda: values_in(without_pairs(text)))

    assert asked(2_000) - asked(1_000) < 1_000 * 40
    # Whoever went back from each of so many backslashes would be at it for hours.
    text = '{"a": "\\ud83d\\ude00"}\n' * 100_000 + '{"a": "' + "\\\\" * 500_000 + '"}'
    assert len(values_in(without_pairs(text))) == 100_001
