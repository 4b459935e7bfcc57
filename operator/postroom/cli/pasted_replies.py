# SPDX-License-Identifier: Apache-2.0
"""What people paste from a log, taken for the reply of a mail server, and what it means.

A whole reply is judged as a probe would judge it; of a code alone it is said what servers are known
to mean by it. Nothing of what was pasted is printed.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from postroom.mail.replies.catalogue import causes, general_rows, rows, specific_rows
from postroom.mail.replies.causes import Cause
from postroom.mail.replies.meaning import (
    Circumstances,
    Meaning,
    meaning_of_cause,
    meaning_of_imap,
    meaning_of_smtp,
)
from postroom.mail.replies.model import Protocol, ReplyRow, Stage

_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
#: A reply code as servers, logs and exceptions of libraries write it; the ports of mail are none.
_CODE = re.compile(
    r"(?<![\d.\w:])(?<!port )(?!465\b|587\b)([45]\d\d)(?![\d.\w])[\s,:#-]*(?:b?['\"])?"
)
_IMAP = re.compile(r"(?:^|\s)(NO|BAD|BYE)\s+(?=\S)")
_RESPONSE = re.compile(r"\[[A-Z-]{4,32}[\] ]")
#: Codes that answer a sign-in, and nothing else (RFC 4954 section 6, RFC 5248 section 2.4). 530
#: answers any other command where signing in, or STARTTLS, should have come first.
_SIGN_IN = frozenset({"432", "454", "525", "534", "535", "538"})
#: Response codes of IMAP that are about a mailbox, which is opened after the sign-in (RFC 5530).
_OF_MAILBOXES = re.compile(r"\[(?:NONEXISTENT|INUSE|TRYCREATE|CANNOT)\b")
#: Codes that may come before any command (RFC 5321 section 4.3.2).
_GREETINGS = frozenset({"421", "554"})
_TRANSACTION = (Stage.RCPT, Stage.MAIL, Stage.DATA)
_STAGES = {
    Stage.RCPT: "to a recipient",
    Stage.MAIL: "to the sender",
    Stage.DATA: "to the message",
    Stage.AUTH: "at sign-in",
    Stage.GREETING: "as a greeting",
}
_WORD = re.compile(r"[^\W\d_]{2,}")


class Explained(NamedTuple):
    """What a reply means, and where that is so: at a provider or in answer to what; "" anywhere."""

    meaning: Meaning
    where: str = ""


def explained(pasted: str) -> list[Explained]:
    """What a pasted reply or code may mean: one entry where that is certain, none for no reply."""
    enhanced = _ENHANCED.search(pasted)
    # A code with an enhanced one behind it is surely one; else the first number that may be.
    codes = list(_CODE.finditer(pasted))
    code = next((each for each in codes if _ENHANCED.match(pasted, each.end())), None)
    code = code or next(iter(codes), None)
    imap = _IMAP.search(pasted) or _RESPONSE.search(pasted)
    if imap is not None and code is None and enhanced is None:
        text = pasted[imap.end() if imap.re is _IMAP else imap.start() :]
        result = imap[1] if imap.re is _IMAP else "NO"
        about_mailbox = _OF_MAILBOXES.search(text) is not None
        stages = (Stage.MAILBOX, Stage.AUTH) if about_mailbox else (Stage.AUTH, Stage.MAILBOX)
        return _best(
            *([(meaning_of_imap(text, result, Circumstances(stage)), "")] for stage in stages)
        )
    if code is None and enhanced is None:
        return []
    if code is None and enhanced is not None:
        text = pasted[enhanced.start() :]
        number = "450" if enhanced[1].startswith("4") else "550"
    elif code is not None:
        number = code[1]
        # The lines of one reply each begin with the code.
        text = re.sub(rf"(?<!\S){number}[- ]", "", pasted[code.end() :]).strip(" \t'\")")
    if not _WORD.search(_ENHANCED.sub("", text)):
        known = _of_code(code[1] if code else None, enhanced[1] if enhanced else None)
        if known:
            return known
    usual = (*_TRANSACTION, *((Stage.GREETING,) if number in _GREETINGS else ()))
    sign_in = (Stage.AUTH,)
    return _best(
        *(
            [
                (meaning_of_smtp(int(number), text, Circumstances(stage)), _STAGES[stage])
                for stage in stages
            ]
            for stages in ((sign_in,) if number in _SIGN_IN else (usual, sign_in))
        )
    )


def _of_code(code: str | None, enhanced: str | None) -> list[Explained]:
    """What servers are known to mean by a code that comes without words."""
    places: dict[Cause, set[str]] = {}
    for row in rows():
        if row.protocol is Protocol.SMTP and any(_has(row, code, enhanced)):
            places.setdefault(row.cause, set()).add(row.provider or "")
    # What any server may mean comes first, and of that what most mean.
    usual = meaning_of_smtp(int(code or "599"), enhanced or "").cause
    order = sorted(places, key=lambda cause: (cause is not usual, "" not in places[cause]))
    return [
        Explained(
            meaning_of_cause(cause),
            "" if "" in places[cause] else f"at {', '.join(sorted(places[cause]))}",
        )
        for cause in order
    ]


def _has(row: ReplyRow, code: str | None, enhanced: str | None) -> Iterator[bool]:
    for example in row.examples:
        began, said = _CODE.match(example), _ENHANCED.search(example)
        same_code = code is None or (began is not None and began[1] == code)
        yield same_code and (enhanced is None or (said is not None and said[1] == enhanced))


def _best(*likely: list[tuple[Meaning, str]]) -> list[Explained]:
    """What a row decided that knows the words; else their family; else what the code means.

    Meanings come by how likely they are: less likely ones count where more is known of the words.
    """
    known = {row.id: 0 for row in specific_rows()} | {row.id: 2 for row in general_rows()}

    def rank(meaning: Meaning) -> int:
        return 3 if meaning.row is None else known.get(meaning.row, 1)

    judged = min(likely, key=lambda found: min(rank(meaning) for meaning, _ in found))
    best: dict[Cause, Explained] = {}
    for meaning, where in judged:
        if rank(meaning) == min(rank(meaning) for meaning, _ in judged):
            best.setdefault(meaning.cause, Explained(meaning, where))
    found = list(best.values())
    return [found[0]._replace(where="")] if len(found) == 1 else found


def paragraphs(found: list[Explained]) -> Iterator[str]:
    """What there is to print of what a reply means."""
    if len(found) > 1:
        yield "It is one of these: the whole reply, or what it answered, tells which."
        for meaning, where in found:
            place = f" ({where})" if where else ""
            yield (
                f"{meaning.cause.value}{place}\n  {causes()[meaning.cause].meaning}\n"
                f"  What to do: {meaning.hint}"
            )
        return
    for meaning, _ in found:
        yield meaning.cause.value
        yield causes()[meaning.cause].meaning
        yield f"What to do: {meaning.hint}"
        yield f"Conditions say: {meaning.reason.value}"
