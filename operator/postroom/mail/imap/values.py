# SPDX-License-Identifier: Apache-2.0
"""Reads what IMAP servers answer: lines and the literals in between, and of these atoms, strings
and lists (RFC 9051 sections 4 and 7)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

#: An atom or string, None for NIL, or a list.
Value: TypeAlias = "bytes | list[Value] | None"

#: What servers send has a depth of three or so.
_DEPTH_LIMIT = 16
#: A response begins with its kind, or with a number of at most ten digits and its kind.
_KIND_WITHIN = 32
#: The longest end of a line that may announce a literal.
_LITERAL_TAIL = 16
_LITERAL = re.compile(rb"~?\{(\d{1,10})\+?\}\Z")
#: What ends in text for humans, in which a brace is a brace (RFC 9051 section 9, resp-text).
_STATUS = re.compile(rb"(?:OK|NO|BAD|BYE|PREAUTH)(?=\s|\Z)", re.IGNORECASE)
_FREE_TEXT = re.compile(rb"\+|(?:\*|[A-Z0-9]+) " + _STATUS.pattern, re.IGNORECASE)
#: A tag of ours, which is in capitals, and the result: in either case (RFC 9051 section 9).
_TAGGED = re.compile(rb"([A-Z0-9]+) (OK|NO|BAD)(?: (.*))?", re.IGNORECASE | re.DOTALL)
#: What stands in brackets belongs to the atom: BODY[HEADER.FIELDS (SUBJECT)]<0>. It is bounded, so
#: that brackets without end do not cost the length of the line each.
_TOKEN = re.compile(
    rb' *+(?:(?P<atom>[^ ()"\[]*+\[[^\]]{0,1000}+\][^ ()"]*|[^ ()"]+)'
    rb'|(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<neither>[^ ]))| +',
    re.DOTALL,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


class Literal(bytes):
    """The octets of a literal, which are no line: what stands in a message tells nothing of the
    server, whatever it looks like."""


def without_literals(lines: Iterable[bytes]) -> Iterator[bytes]:
    """What the server itself tells, among the lines of an answer."""
    return (line for line in lines if not isinstance(line, Literal))


def literal_after(line: bytes) -> int | None:
    """How many octets follow a line, not counting its end, as a literal; None: none does."""
    if not line.endswith(b"}"):  # as most do not
        return None
    found = _LITERAL.search(line[-_LITERAL_TAIL:])
    return int(found[1]) if found and not _FREE_TEXT.match(line) else None


def tagged(line: bytes) -> tuple[str, str, bytes] | None:
    """The tag, the result and the text of a line that ends a command; None for another line."""
    found = _TAGGED.fullmatch(line)
    return (
        (found[1].decode().upper(), found[2].decode().upper(), found[3] or b"") if found else None
    )


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
        # Most lines announce none.
        while parts[-1].endswith(b"}") and at < len(lines):
            announced = _LITERAL.search(parts[-1][-_LITERAL_TAIL:])
            if announced is None or len(lines[at]) != int(announced[1]) or _STATUS.match(parts[0]):
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
        for token in _TOKEN.finditer(part):
            kind = token.lastgroup
            if kind == "atom":
                atom = token[kind]
                is_nil = len(atom) == 3 and atom.upper() == b"NIL"
                open_lists[-1].append(None if is_nil else atom)
            elif kind == "quoted":
                quoted = token[kind]
                open_lists[-1].append(_ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted)
            elif kind == "open":
                deeper: list[Value] = []
                open_lists[-1].append(deeper)
                open_lists.append(deeper)
                if len(open_lists) > _DEPTH_LIMIT:
                    return None
            elif kind == "close":
                open_lists.pop()
                if not open_lists:
                    return None
            elif kind == "neither":
                return None
    return found if len(open_lists) == 1 else None
