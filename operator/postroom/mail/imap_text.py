# SPDX-License-Identifier: Apache-2.0
"""How IMAP writes names and passwords, and how it answers about mailboxes (RFC 3501, RFC 9051)."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from postroom.mail.report import Mailbox

_LINE_ENDS = re.compile(r"[\x00\r\n]")
#: A quoted string may hold these (RFC 3501 section 9, QUOTED-CHAR); all else needs a literal.
_QUOTABLE = re.compile(r"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
#: Servers bound command lines; RFC 7162 section 4 advises 8192 octets for all of a line.
_QUOTED_LIMIT = 1024
#: The list of counts in a STATUS response (RFC 3501 section 7.2.4).
_COUNTS = re.compile(rb"\(([^()]*\bMESSAGES \d+[^()]*)\)", re.IGNORECASE)


def quoted(text: str) -> str:
    """Write a quoted string (RFC 9051 section 4.3). Raises `ValueError` for a line end or NUL."""
    if _LINE_ENDS.search(text):
        raise ValueError("a quoted string holds no line end and no NUL")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def login_arguments(username: str, password: str) -> tuple[list[str], list[bytes]]:
    """Return the arguments of LOGIN, and what to send when the server asks for the literals.

    What is not ASCII goes in a literal (RFC 3501 section 4.3), which the server asks for one by
    one. Raises `ValueError` for a line end or NUL.
    """
    sent: list[str] = []
    answers: list[bytes] = []
    for text in (username, password):
        if _LINE_ENDS.search(text):
            raise ValueError("a login holds no line end and no NUL")
        plain = len(text) <= _QUOTED_LIMIT and _QUOTABLE.fullmatch(text)
        octets = text.encode()
        written = quoted(text) if plain else f"{{{len(octets)}}}"
        if answers:
            answers[-1] += b" " + written.encode()
        else:
            sent.append(written)
        if not plain:
            answers.append(octets)
    return sent, answers


def modified_utf7(name: str) -> str:
    """Write a mailbox name in the modified UTF-7 of RFC 3501 section 5.1.3."""

    def encode(match: re.Match[str]) -> str:
        if match[0] == "&":
            return "&-"
        packed = base64.b64encode(match[0].encode("utf-16-be")).decode().rstrip("=")
        return f"&{packed.replace('/', ',')}-"

    return re.sub(r"&|[^\x20-\x7e]+", encode, name)


def mailbox_of(name: str, counted: Sequence[bytes], opened: Sequence[bytes]) -> Mailbox:
    """Read the answers to STATUS and EXAMINE; `counted` is empty where STATUS was refused."""
    # The counts are in the last such list: a mailbox's name may look like one.
    status = (_COUNTS.findall(b" ".join(counted)) or [b""])[-1]
    facts = status or b" ".join(opened)
    exists = _number(rb"\b(\d+) EXISTS", b" ".join(opened))
    messages = _number(rb"\bMESSAGES (\d+)", status)
    return Mailbox(
        name=name,
        messages=messages if messages is not None else exists or 0,
        unseen=_number(rb"\bUNSEEN (\d+)", status),
        uid_next=_number(rb"\bUIDNEXT (\d+)", facts),
        uid_validity=_number(rb"\bUIDVALIDITY (\d+)", facts),
    )


def _number(pattern: bytes, text: bytes) -> int | None:
    """RFC 9051's numbers have at most 63 bits; longer ones are no numbers."""
    found = re.search(pattern, text, re.IGNORECASE)
    return int(found[1]) if found and len(found[1]) <= 18 else None
