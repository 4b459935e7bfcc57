# SPDX-License-Identifier: Apache-2.0
"""Mending slips of an SPF record whose meaning is beyond doubt, and leaving out the rest.

A record with a syntax error authorises nobody (RFC 7208 section 4.6), so nothing is lost.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postroom.dns.quoting import quoted
from postroom.dns.spf.record import VERSION, Record, SyntaxProblem, parse

#: What people put between terms instead of a space, among it marks that nobody sees.
_SEPARATORS = re.compile(r"[,;\t\r\n\x0b\x0c]|\xc2?\xa0|\xe2\x80[\x8b-\x8f]|\xef\xbb\xbf")
_JOINED_ALL = re.compile(r"(?P<term>.+?)(?P<all>[+?~-]all)", re.IGNORECASE | re.DOTALL)
_REPAIRS = (
    (re.compile(r"([+?~-]?)ipv([46])[:=]", re.IGNORECASE), r"\1ip\2:"),
    (
        re.compile(r"([+?~-]?)(?:a|ip|ip6):(?=[0-9]+\.[0-9.]+(?:/[0-9]+)?$)", re.IGNORECASE),
        r"\1ip4:",
    ),
    (re.compile(r"([+?~-]?)ip4:(?=[0-9a-f]*:[0-9a-f:.]+(?:/[0-9]+)?$)", re.IGNORECASE), r"\1ip6:"),
    (re.compile(r"([+?~-]?)(?=[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(?:/[0-9]+)?$)"), r"\1ip4:"),
    (re.compile(r"([+?~-])(include|ip4|ip6|exists)=", re.IGNORECASE), r"\1\2:"),
)
_SLIP = re.compile(r"(include|ip4|ip6|exists)=", re.IGNORECASE)
_OPEN = re.compile(r"[+?~-]?(?:include|exists|ip4|ip6|a|mx)[:=]|(?:redirect|exp)=", re.IGNORECASE)
#: No slip is longer; what is longer is left out.
_MENDED_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes of a record to replace; an empty `text` takes them out, with the spaces before."""

    start: int
    end: int
    text: str
    change: str


def apply(text: str, edits: Sequence[Edit]) -> str:
    """Carry out edits that do not overlap; every other byte stays."""
    parts: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda one: one.start):
        before = text[position : edit.start]
        parts.append(before if edit.text else before.rstrip(" "))
        parts.append(edit.text)
        position = edit.end
    return "".join([*parts, text[position:]])


def removal(start: int, term: str, why: str) -> Edit:
    """Return the edit that takes out a term, which stands at `start`."""
    return Edit(start, start + len(term), "", f"takes out {quoted(term)}, which {why}")


def repairs(record: Record, *, also_slips: Callable[[str], bool]) -> tuple[Edit, ...]:
    """Return what makes a record sound.

    `also_slips` tells of the name in a term such as ``include=name``, which is lawful but does
    nothing, whether the mechanism may be made of it.
    """
    edits: list[Edit] = []
    problems = deque(record.problems)
    while problems:
        problem = problems.popleft()
        following = problems[0] if problems else None
        joined = _joined(record.text, problem, following)
        if joined is not None:
            edits.append(joined)
            problems.popleft()
        elif problem.fatal:
            edits.append(_repair(problem))
        else:
            mended = _pieces(_SLIP.sub(r"\1:", problem.term))
            terms = parse(f"{VERSION} {mended}").terms if mended else ()
            if mended and all(also_slips(one.target) for one in terms if one.name == "include"):
                edits.append(_replacement(problem, mended))
    return tuple(edits)


def _joined(text: str, problem: SyntaxProblem, following: SyntaxProblem | None) -> Edit | None:
    """Join ``include: name``, two terms of which neither is sound."""
    if following is None or not _OPEN.fullmatch(problem.term):
        return None
    end = following.start + len(following.term)
    if text[problem.start + len(problem.term) : following.start].strip(" "):
        return None
    pieces = _pieces(problem.term + following.term)
    if pieces is None:
        return None
    change = f"writes {quoted(text[problem.start : end])} as {quoted(pieces)}"
    return Edit(problem.start, end, pieces, change)


def _repair(problem: SyntaxProblem) -> Edit:
    mended = None if problem.sentence == "appears twice" else _pieces(problem.term)
    if mended is None:
        return removal(problem.start, problem.term, problem.sentence)
    if not mended:
        return removal(problem.start, problem.term, "is no term")
    return _replacement(problem, mended)


def _replacement(problem: SyntaxProblem, mended: str) -> Edit:
    end = problem.start + len(problem.term)
    change = f"writes {quoted(problem.term)} as {quoted(mended)}"
    return Edit(problem.start, end, mended, change)


def _pieces(term: str) -> str | None:
    """Return the sound terms that one unsound term was meant as, None if that is not clear."""
    if len(term) > _MENDED_LIMIT:
        return None
    mended: list[str] = []
    for piece in _SEPARATORS.sub(" ", term).split(" "):
        if not piece:
            continue
        made = _mended(piece)
        if made is None:
            return None
        mended.append(made)
    return " ".join(mended)


def _mended(piece: str) -> str | None:
    if _is_sound(piece):
        return piece
    for pattern, replacement in _REPAIRS:
        made, count = pattern.subn(replacement, piece, count=1)
        if count and _is_sound(made):
            return made
    joined = _JOINED_ALL.fullmatch(piece)
    if joined is not None:
        term = _mended(joined["term"])
        return None if term is None else f"{term} {joined['all']}"
    return None


def _is_sound(term: str) -> bool:
    record = parse(f"{VERSION} {term}")
    return len(record.terms) == 1 and not record.problems
