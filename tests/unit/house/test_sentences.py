# SPDX-License-Identifier: Apache-2.0
"""Sentences that are put together of several literals have one space between two words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from house.texture import PACKAGE

#: Two spaces between words or values. What has few words is a table, or a piece of a protocol.
_APART = re.compile(r"[\w.,:;}] {2,}[\w{]")
_LEAST_WORDS = 4
_PARTS = ("api", "controller", "delivery", "dns", "mail", "reconcile")


def wide(text: str) -> Iterator[str]:
    """The sentences of a module with more than one space in a row, as `{}` for each value."""
    tree = ast.parse(text)
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inner = {id(value) for node in joined for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            values = (
                part.value if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
            said = "".join(map(str, values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            said = "" if id(node) in inner or "\n" in node.value else node.value
        else:
            continue
        if _APART.search(said) and len(re.findall(r"[A-Za-z]{2,}", said)) >= _LEAST_WORDS:
            yield said


@pytest.mark.parametrize("part", _PARTS)
def test_no_sentence_has_two_spaces_in_a_row(part: str) -> None:
    found = {
        str(path.relative_to(PACKAGE)): said
        for path in sorted((PACKAGE / part).rglob("*.py"))
        if (said := list(wide(path.read_text("utf-8"))))
    }
    assert found == {}


def test_what_is_found() -> None:
    made = 'told = (\n    f"Who passes by "\n    f" {name} all the same stays."\n)\n'
    assert list(wide(made)) == ["Who passes by  {} all the same stays."]
    assert list(wide(made.replace(" {name}", "{name}"))) == []
