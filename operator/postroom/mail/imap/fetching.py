# SPDX-License-Identifier: Apache-2.0
"""Messages as FETCH and SEARCH tell of them (RFC 9051 sections 7.3.4, 7.5.2), and sets of UIDs."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from postroom.mail.imap.dates import internal_date
from postroom.mail.imap.values import Value, number, pairs, responses, without_literals

#: The largest UID (RFC 9051 section 9, nz-number).
_LARGEST_UID = 2**32 - 1
_SECTION = re.compile(rb"BODY\[(?P<name>[^\]]*)\](?:<(?P<origin>\d{1,10})>)?")
#: The response to SEARCH, of either kind; and one that tells UIDs, all of them.
_SEARCHED = re.compile(rb"(?i)E?SEARCH(?=\s|$)")
_EXTENDED = re.compile(rb'(?i)ESEARCH(?: \(TAG "[^"]{0,99}"\))? UID(?: ALL (?P<all>[0-9:,]+))?\s*')
#: UIDs of one answer, which are a few octets where they are ranges: a mailbox has no more.
_SEARCHED_LIMIT = 500_000
#: Ranges of one sequence set, so that a command line stays below 8192 octets (RFC 7162 section 4).
_RANGES_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server tells of a message; `header` are the fields that were asked for."""

    uid: int
    received_at: datetime | None = None
    header: bytes | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets of a message, and where they begin; None: the server gives all that there is."""

    octets: bytes
    origin: int | None


def fetched(lines: Sequence[bytes]) -> Iterator[Fetched]:
    """Read FETCH responses that have a UID, in their order; others are news of no interest."""
    for uid, found in _items(lines):
        date = found.get(b"INTERNALDATE")
        received_at = internal_date(date) if isinstance(date, bytes) else None
        headers = (
            value
            for name, value in found.items()
            if name.startswith(b"BODY[HEADER") and isinstance(value, bytes)
        )
        yield Fetched(uid, received_at, next(headers, None), number(found.get(b"RFC822.SIZE")))


def pieces_of(lines: Sequence[bytes], section: bytes) -> Mapping[int, Piece]:
    """The octets of a section of messages (``HEADER``; empty: of all of it), NIL as none at all, by
    their UIDs; what is told first counts.

    What else the server tells of messages is news that came in between (RFC 9051 section 7.5.2).
    """
    pieces: dict[int, Piece] = {}
    for uid, found in _items(lines):
        for name, value in found.items():
            match = _SECTION.fullmatch(name)
            if match and match["name"] == section and not isinstance(value, list):
                origin = int(match["origin"]) if match["origin"] else None
                pieces.setdefault(uid, Piece(value or b"", origin))
    return pieces


def _items(lines: Sequence[bytes]) -> Iterator[tuple[int, Mapping[bytes, Value]]]:
    """What FETCH responses tell by its name, with the UID of the message."""
    for words in responses(lines, b"FETCH"):
        match words:
            case [bytes(_), bytes(kind), list(items), *_] if kind.upper() == b"FETCH":
                found = dict(pairs(items))
                uid = _uid(found.get(b"UID"))
                if uid is not None:
                    yield uid, found


def searched(lines: Sequence[bytes]) -> list[int]:
    """Read SEARCH and ESEARCH responses: UIDs, each once, sorted; no more than anybody asks for."""
    found: set[int] = set()
    for line in without_literals(lines):
        kind, _, numbers = line.partition(b" ")
        if kind.upper() == b"SEARCH":
            found.update(uid for uid in map(_uid, numbers.split()) if uid is not None)
        elif (ranges := _extended(line)) is not None:
            for low, high in sorted(ranges):
                found.update(range(low, min(high, low + _SEARCHED_LIMIT - len(found)) + 1))
    return sorted(found)


def is_search_whole(lines: Sequence[bytes]) -> bool:
    """Whether SEARCH was answered, as it must be (RFC 9051 section 6.4.4), and nothing in it is
    left unread. What stands in parentheses is no UID (RFC 7162 section 3.1.5)."""
    answers = [line for line in without_literals(lines) if _SEARCHED.match(line)]
    plain = [line for line in answers if line[:1] in b"sS"]
    extended = [_extended(line) for line in answers if line[:1] not in b"sS"]
    words = (word for line in plain for word in line[6:].partition(b"(")[0].split())
    many = sum(high - low + 1 for ranges in extended for low, high in ranges or ())
    return (
        bool(answers)
        and all(map(bytes.isdigit, words))
        and None not in extended
        and many <= _SEARCHED_LIMIT
    )


def _extended(line: bytes) -> list[tuple[int, int]] | None:
    """The ranges of UIDs in an ESEARCH response, as servers of IMAP4rev2 answer (RFC 9051 section
    7.3.4); none where nothing was found. None: it is no such response, or tells something else."""
    match = _EXTENDED.fullmatch(line)
    if match is None:
        return None
    ranges = []
    for part in (match["all"] or b"").split(b",") if match["all"] else ():
        ends = [_uid(end) for end in part.split(b":")]
        if len(ends) > 2 or None in ends:
            return None
        known = [end for end in ends if end is not None]
        ranges.append((min(known), max(known)))
    return ranges


def uid_sets(uids: Iterable[int], most: int) -> Iterator[tuple[str, frozenset[int]]]:
    """Write sorted UIDs as sequence sets (``1:3,7``) of at most `most` UIDs and bounded length.

    Yields each with the UIDs in it.
    """
    ranges: list[tuple[int, int]] = []
    within: list[int] = []
    for uid in uids:
        goes_on = bool(ranges) and uid == ranges[-1][1] + 1
        if len(within) >= most or (len(ranges) >= _RANGES_LIMIT and not goes_on):
            yield _written(ranges), frozenset(within)
            ranges, within, goes_on = [], [], False
        if goes_on:
            ranges[-1] = (ranges[-1][0], uid)
        else:
            ranges.append((uid, uid))
        within.append(uid)
    if within:
        yield _written(ranges), frozenset(within)


def _written(ranges: Sequence[tuple[int, int]]) -> str:
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges)


def _uid(value: Value) -> int | None:
    found = number(value)
    return found if found is not None and 0 < found <= _LARGEST_UID else None
