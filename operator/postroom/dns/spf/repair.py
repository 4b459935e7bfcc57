# SPDX-License-Identifier: Apache-2.0
"""Mending slips of an SPF record whose meaning is beyond doubt, and leaving out the rest.

A record with a syntax error authorises nobody (RFC 7208 section 4.6), so nothing is lost that
worked; but what its author meant is told apart term by term, and what is left out is said.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from postroom.dns.spf.mending import Reading, names_nothing, read, read_modifier
from postroom.dns.spf.record import VERSION, Record, SyntaxProblem, Term, parse
from postroom.dns.texts.quoting import quoted

#: What people put between terms instead of a space, among it marks that nobody sees.
_SEPARATORS = (
    r"[,;|&\t\r\n\x0b\x0c]|\xc2?\xa0|\xc2\xad|\xe2\x80[\x8b-\x8f]|\xe2\x81\xa0|\xef\xbb\xbf"
)
#: What names may be listed behind, and what can only be one of them.
_LISTED = r"(?i)[+?~-]?(?:include|exists|a|mx):"
_NAME = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+\.?"
_INVISIBLE = r"\xc2\xad|\xe2\x80[\x8b-\x8f]|\xe2\x81\xa0|\xef\xbb\xbf"
_OPEN = r"(?i)[+?~-]?(?:[a-z]{4,9}|ip_?v?[46]|a|mx|exp)[:=;]{0,2}"
_PREFIX = r"/{1,2}[0-9.]{1,15}(?:/{1,2}[0-9]{1,3})?"
_QUALIFIER = r"[+?~-]"
#: A gap of instructions in its term, spaces and all.
GAP = re.compile(
    r"[^ <{[]{0,80}(?:<[^<>]{0,80}>|\{[^{}]{0,80}\}\}?|\[[A-Za-z][A-Za-z _-]{2,80}\])[^ ]{0,80}"
)
#: Modifiers that a record has once (section 6).
_SINGLE = frozenset({"redirect", "exp"})
#: No slip is longer; what is longer is left out.
_MENDED_LIMIT = 512
#: Most tokens that are read as one term.
_JOINED_LIMIT = 3


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes of a record to replace; an empty `text` takes them out, with the spaces before.

    `left_out` are clauses on terms by which nobody passes any more, `doubts` sentences on readings
    that may not be the whole of what was meant.
    """

    start: int
    end: int
    text: str
    change: str
    left_out: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def apply(text: str, edits: Sequence[Edit]) -> str:
    """Carry out edits that do not overlap; every other byte stays."""
    parts: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda change: change.start):
        before = text[position : edit.start]
        parts.append(before if edit.text else before.rstrip(" "))
        parts.append(edit.text)
        position = edit.end
    return "".join([*parts, text[position:]])


def removal(start: int, term: str, why: str) -> Edit:
    """Return the edit that takes out a term, which stands at `start`, and that nobody needs."""
    return Edit(start, start + len(term), "", f"takes out {quoted(term)}, which {why}")


def leaving_out(start: int, term: str, why: str) -> Edit:
    """Return the edit that takes out a term by which somebody was meant to pass."""
    clause = f"{quoted(term)}, which {why}"
    return Edit(start, start + len(term), "", f"takes out {clause}", (clause,))


def repairs(record: Record, *, also_slips: Callable[[str], bool]) -> tuple[Edit, ...]:
    """Return what makes a record sound.

    `also_slips` tells of the name in a term such as ``include=name``, which is lawful but does
    nothing, whether the mechanism may be made of it.
    """
    return tuple(_Repair(record, also_slips).edits())


def needs_repair(record: Record) -> bool:
    """Whether a record has faults, or names what cannot be."""
    return bool(record.errors) or any(map(names_nothing, record.terms))


class _Repair:
    """The repair of one record, from its first token to its last."""

    def __init__(self, record: Record, also_slips: Callable[[str], bool]) -> None:
        self._text = record.text
        self._also_slips = also_slips
        self._problems = {problem.start: problem for problem in record.problems}
        self._terms = {term.start: term for term in record.terms}
        self._single_names = {
            term.name
            for term in record.terms
            if term.is_modifier and term.name in _SINGLE and not names_nothing(term)
        }
        self._tokens = [
            (match.start() + len(VERSION), match.group())
            for match in re.finditer(r"[^ ]+", record.text[len(VERSION) :])
        ]

    def edits(self) -> Iterator[Edit]:
        at = 0
        while at < len(self._tokens):
            count, edit = self._joined(at) or (1, self._single(at))
            if edit is not None:
                yield edit
            at += count

    def _is_unsound(self, at: int) -> bool:
        start = self._tokens[at][0]
        problem, term = self._problems.get(start), self._terms.get(start)
        return (problem is not None and problem.fatal) or (term is not None and names_nothing(term))

    def _single(self, at: int) -> Edit | None:
        start, token = self._tokens[at]
        problem, term = self._problems.get(start), self._terms.get(start)
        if problem is not None and problem.repeated:
            gone = removal if token.lower().startswith("exp=") else leaving_out
            return gone(start, token, problem.sentence)
        if term is not None and term.is_modifier and term.text.lower() == VERSION:
            return removal(start, token, "is the version again")
        if self._is_unsound(at):
            return self._once(_repaired(start, token, problem))
        if term is not None and term.is_modifier and term.name not in _SINGLE:
            made = self._modifier(term)
            return None if made is None or self._repeats(made) else self._once(made)
        return None

    def _repeats(self, edit: Edit) -> bool:
        """Whether an edit makes a second redirect or exp, of which there can be one (section 6)."""
        made = parse(f"{VERSION} {edit.text}").terms
        return any(term.is_modifier and term.name in self._single_names for term in made)

    def _once(self, edit: Edit) -> Edit:
        if self._repeats(edit):
            return leaving_out(edit.start, self._text[edit.start : edit.end], "appears twice")
        made = parse(f"{VERSION} {edit.text}").terms
        self._single_names |= {term.name for term in made if term.is_modifier} & _SINGLE
        return edit

    def _modifier(self, term: Term) -> Edit | None:
        """Make a mechanism of what is lawful, but does nothing."""
        made = read_modifier(term.text)
        if made is None:
            return None
        terms = parse(f"{VERSION} {made.text}").terms
        named = [mended.target for mended in terms if mended.name in ("include", "redirect")]
        return (
            _rewritten(term.start, term.text, made) if all(map(self._also_slips, named)) else None
        )

    def _joined(self, at: int) -> tuple[int, Edit] | None:
        """Read a term that stray spaces have torn, such as ``include: name``: (tokens, edit)."""
        start, first = self._tokens[at]
        gap = GAP.match(self._text, start) if self._is_unsound(at) else None
        if gap is not None and " " in gap[0]:
            why = "is a placeholder of the instructions"
            return len(gap[0].split()), leaving_out(start, gap[0], why)
        for count in range(2, _JOINED_LIMIT + 1):
            tokens = [token for _, token in self._tokens[at : at + count]]
            short = sum(map(len, tokens)) <= _MENDED_LIMIT
            if len(tokens) < count or not short or not self._belong_together(at, count):
                continue
            made = read("".join(tokens))
            if made is None and re.fullmatch(_OPEN, first) is not None:
                made = read(":".join(tokens))
            if made is not None:
                last = self._tokens[at + count - 1]
                torn = self._text[start : last[0] + len(last[1])]
                return count, self._once(_rewritten(start, torn, made))
        return None

    def _belong_together(self, at: int, count: int) -> bool:
        """Whether tokens may be one term: none of them could stand alone, but for the first of
        a prefix length and the ``all`` behind a qualifier."""
        tokens = [token for _, token in self._tokens[at : at + count]]
        unsound = [self._is_unsound(at + n) for n in range(count)]
        if re.fullmatch(_PREFIX, "".join(tokens[1:])):
            return all(unsound[1:])
        if re.fullmatch(_QUALIFIER, tokens[0]):
            return count == 2 and not re.match(_QUALIFIER, tokens[1])
        if tokens[0].endswith("/"):
            return all(unsound) and tokens[1].isdigit()
        return all(unsound) and re.fullmatch(_OPEN, tokens[0]) is not None


def _repaired(start: int, token: str, problem: SyntaxProblem | None) -> Edit:
    """Mend one unsound token, or leave out what of it is not clear."""
    why = "names what no domain can be called" if problem is None else problem.sentence
    if len(token) > _MENDED_LIMIT:
        return leaving_out(start, token, why)
    whole = read(token)
    if whole is not None:
        return _rewritten(start, token, whole)
    pieces = [
        piece
        for piece in re.sub(_SEPARATORS, " ", re.sub(_INVISIBLE, "", token)).split(" ")
        if piece
    ]
    if not pieces:
        return removal(start, token, "is no term")
    readings = _listed(pieces)
    made = " ".join(reading.text for reading in readings if reading is not None)
    if not made:
        return leaving_out(start, token, why)
    lost: list[str] = []
    for piece, reading in zip(pieces, readings, strict=True):
        if reading is None:
            problems = parse(f"{VERSION} {piece}").problems
            fault = problems[0].sentence if problems else "names what no domain can be called"
            lost.append(f"{quoted(piece)}, which {fault}")
    doubts = [reading.doubt for reading in readings if reading is not None]
    edit = _rewritten(start, token, Reading(made, next(filter(None, doubts), "")))
    return replace(edit, left_out=tuple(lost))


def _listed(pieces: Sequence[str]) -> list[Reading | None]:
    """Read the parts of a token; names that are listed behind one of a mechanism are of it, too."""
    readings: list[Reading | None] = []
    mechanism = ""
    for piece in pieces:
        named = re.match(_LISTED, piece)
        mechanism = named[0] if named is not None else mechanism
        made = read(piece)
        if made is None and mechanism and re.fullmatch(_NAME, piece):
            made = read(f"{mechanism}{piece}")
        readings.append(made)
    return readings


def _rewritten(start: int, token: str, made: Reading) -> Edit:
    change = f"writes {quoted(token)} as {quoted(made.text)}"
    end, term = start + len(token), quoted(token)
    doubt = f"The fix reads {term} as {quoted(made.text)}: the former {made.doubt}."
    return Edit(start, end, made.text, change, doubts=(doubt,) if made.doubt else ())
