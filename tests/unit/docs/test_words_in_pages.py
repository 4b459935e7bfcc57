# SPDX-License-Identifier: Apache-2.0
"""No word stands twice in a row where once is meant."""

import re
from pathlib import Path

import pytest

from unit.docs.reading import PAGES, name_of, prose

_CODE = re.compile(r"`[^`]*`|<!--.*?-->", re.S)
#: Words that only a slip repeats. "In in" and "at at" happen: "what it is in in the end".
_ONCE = ("a", "an", "and", "are", "as", "be", "by", "for", "from", "has", "have", "is", "it", "its")
_ONCE += ("no", "not", "of", "or", "so", "the", "they", "this", "to", "was", "which", "with")
_TWICE = re.compile(rf"\b({'|'.join(_ONCE)})\s+\1\b(?![.\d-])", re.I)


def doubled(text: str) -> list[str]:
    """Return what stands twice in the sentences of a page, across the end of a line, too."""
    sentences = _CODE.sub("`", prose(text))
    return [
        f"{sentences.count(chr(10), 0, found.start()) + 1}: {' '.join(found[0].split())}"
        for found in _TWICE.finditer(sentences)
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_word_stands_twice_in_a_row(page: Path) -> None:
    assert doubled(page.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("look into others, and and so on", 1),
        ("one of\nof them", 1),
        ("The the", 1),
        ("what it is in in the end, and `a` a word, so-so", 0),
        ("```console\n$ cat a a\n```\n", 0),
    ],
)
def test_a_word_that_stands_twice_is_found(text: str, found: int) -> None:
    assert len(doubled(text)) == found
