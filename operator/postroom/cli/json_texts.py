# SPDX-License-Identifier: Apache-2.0
"""Texts of JSON as kubectl reads them, where YAML, which has most of JSON, is another language:
values may follow each other, and a character may be two escapes (RFC 8259 section 7)."""

import json
import re

_SPACE = re.compile(r"[ \t\r\n]*")
#: A character beyond the BMP, behind what is no half of an escape.
_PAIR = re.compile(
    r"(?<!\\)(?P<before>(?:\\\\)*)(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)


def without_pairs(text: str) -> str:
    """Write characters that are two escapes as themselves; what comes behind them in a line moves
    to the left. Only for what is JSON: elsewhere it may be text as it stands."""
    if not _PAIR.search(text) or not values_in(text):
        return text
    return _PAIR.sub(lambda found: found["before"] + json.loads(f'"{found["pair"]}"'), text)


def values_in(text: str) -> list[tuple[int, int]]:
    """From where to where the values of a text stand that begins with an object; none where
    anything in it is no JSON."""
    found: list[tuple[int, int]] = []
    begin, decoder = _end_of_space(text, 0), json.JSONDecoder()
    while begin < len(text):
        if not found and text[begin] != "{":
            return []
        try:
            _, end = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            return []
        found.append((begin, end))
        begin = _end_of_space(text, end)
    return found


def _end_of_space(text: str, begin: int) -> int:
    space = _SPACE.match(text, begin)
    return space.end() if space is not None else begin
