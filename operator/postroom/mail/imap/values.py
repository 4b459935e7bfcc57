# SPDX-License-Identifier: Apache-2.0
"""Reads what IMAP servers answer: atoms, strings, literals and lists (RFC 9051 section 4)."""

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

#: An atom or string, None for NIL, or a list.
Value: TypeAlias = "bytes | list[Value] | None"

#: What servers send has a depth of three or so.
_DEPTH_LIMIT = 16
#: A response begins with its kind, or with a number of at most ten digits and its kind.
_KIND_WITHIN = 32
_LITERAL = re.compile(rb"~?\{(\d{1,10})\+?\}\Z")
#: What stands in brackets belongs to the atom: BODY[HEADER.FIELDS (SUBJECT)]<0>. It is bounded, so
#: that brackets without end do not cost the length of the line each.
_TOKEN = re.compile(
    rb' +|(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    rb'|(?P<atom>[^ ()"\[]*+\[[^\]]{0,1000}+\][^ ()"]*|[^ ()"]+)',
    re.DOTALL,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def responses(lines: Sequence[bytes], about: bytes = b"") -> Iterator[list[Value]]:
    """Read untagged responses, each as its values in order; leaves out what cannot be read.

    Those without the word `about`, in capitals, near their beginning are passed over.
    `lines` are as `GuardedProtocol.run` returns them, without the last: a line that announces a
    literal is followed by the literal, and that by the rest of its response.
    """
    at = 0
    while at < len(lines):
        parts = [lines[at]]
        at += 1
        while (announced := _LITERAL.search(parts[-1][-16:])) and at < len(lines):
            if len(lines[at]) != int(announced[1]):
                break
            more = lines[at + 1 : at + 2]
            # An empty rest is not among the lines.
            rest = more[0] if more and more[0][:1] in (b" ", b")") else b""
            parts += [lines[at], rest]
            at += 2 if rest else 1
        if about in parts[0][:_KIND_WITHIN].upper() and (found := _values(parts)) is not None:
            yield found


def number(value: Value) -> int | None:
    """Read a number; RFC 9051's have at most 63 bits, and longer ones are none."""
    if isinstance(value, bytes) and value.isdigit() and len(value) <= 18:
        return int(value)
    return None


def pairs(values: Value) -> Iterator[tuple[bytes, Value]]:
    """Read a list of names and values; the names in capitals."""
    if isinstance(values, list):
        for name, value in zip(values[::2], values[1::2], strict=False):
            if isinstance(name, bytes):
                yield name.upper(), value


def _values(parts: Sequence[bytes]) -> list[Value] | None:
    """Read lines and the literals between them; None for what is no response."""
    found: list[Value] = []
    open_lists = [found]
    for index, part in enumerate(parts):
        if index % 2:
            open_lists[-1].append(part)
            continue
        if index + 1 < len(parts):
            part = part[: part.rindex(b"{")].removesuffix(b"~")  # what announces the next one
        at = 0
        while at < len(part):
            token = _TOKEN.match(part, at)
            if token is None:
                return None
            at = token.end()
            match token.lastgroup:
                case "atom":
                    atom = token["atom"]
                    open_lists[-1].append(None if atom.upper() == b"NIL" else atom)
                case "quoted":
                    quoted = token["quoted"]
                    open_lists[-1].append(
                        _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted
                    )
                case "open":
                    deeper: list[Value] = []
                    open_lists[-1].append(deeper)
                    open_lists.append(deeper)
                case "close":
                    open_lists.pop()
            if not 0 < len(open_lists) <= _DEPTH_LIMIT:
                return None
    return found if len(open_lists) == 1 else None
