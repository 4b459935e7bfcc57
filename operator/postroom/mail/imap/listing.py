# SPDX-License-Identifier: Apache-2.0
"""Which mailboxes there are, and what for: LIST, SPECIAL-USE and NAMESPACE."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from postroom.mail.imap.text import modified_utf7
from postroom.mail.imap.values import Value, responses

#: RFC 6154 section 2, RFC 8457 section 3.
_USES = ("All", "Archive", "Drafts", "Flagged", "Important", "Junk", "Sent", "Trash")
_BY_ATTRIBUTE = {f"\\{use}".upper().encode(): use for use in _USES}
_CLOSED = frozenset({b"\\NOSELECT", b"\\NONEXISTENT"})
#: What servers that name no special use call the mailbox for junk, in lowercase.
_JUNK_NAMES = frozenset({"junk", "spam", "junk email", "junk e-mail", "bulk mail"})
#: Characters of a name; longer ones are left out, since part of a name names nothing.
NAME_LIMIT = 255
_SHIFTED = re.compile(r"&([^-]*)-")


@dataclass(frozen=True, slots=True)
class Listed:
    """A mailbox that can be opened; `uses` are special uses such as ``Junk``."""

    name: str
    delimiter: str | None
    uses: frozenset[str]

    @property
    def leaf(self) -> str:
        """The last part of its name."""
        return self.name.rpartition(self.delimiter)[2] if self.delimiter else self.name


@dataclass(frozen=True, slots=True)
class Namespace:
    """Where the user's own mailboxes are: what their names begin with (RFC 2342)."""

    prefix: str
    delimiter: str | None


def list_command(offered: AbstractSet[str]) -> tuple[str, ...]:
    """LIST, restricted to special uses where the server can do so (RFC 6154 section 5.2).

    Many servers tell special uses without being asked, and without offering the extension.
    """
    if {"SPECIAL-USE", "LIST-EXTENDED"} <= offered:
        return ("LIST", "(SPECIAL-USE)", '""', '"*"', "RETURN", "(SPECIAL-USE)")
    return ("LIST", '""', '"*"' if "SPECIAL-USE" in offered else '"%"')


def listed(lines: Sequence[bytes]) -> list[Listed]:
    """Read LIST responses; leaves out what cannot be opened, or not by a name that we can write."""
    found: list[Listed] = []
    for words in responses(lines, b"LIST"):
        match words:
            case [bytes(kind), list(attributes), delimiter, bytes(raw), *_] if (
                kind.upper() == b"LIST"
            ):
                marks = {
                    attribute.upper() for attribute in attributes if isinstance(attribute, bytes)
                }
                name = mailbox_name(raw)
                if name is not None and not marks & _CLOSED:
                    uses = frozenset(_BY_ATTRIBUTE[mark] for mark in marks if mark in _BY_ATTRIBUTE)
                    found.append(Listed(name, _delimiter(delimiter), uses))
    return found


def special_uses(mailboxes: Iterable[Listed]) -> dict[str, str]:
    """Return the mailbox of each special use; where a use has several, the first by name."""
    found: dict[str, str] = {}
    for mailbox in mailboxes:
        for use in mailbox.uses:
            found[use] = min(found.get(use, mailbox.name), mailbox.name)
    return found


def where_mail_arrives(mailboxes: Sequence[Listed]) -> Mapping[str, str]:
    """Return the mailboxes for junk and for all mail, by special use or what they are called."""
    uses = special_uses(mailboxes)
    found: dict[str, str] = {use: uses[use] for use in ("Junk", "All") if use in uses}
    if "Junk" not in found:
        called = [mailbox.name for mailbox in mailboxes if mailbox.leaf.lower() in _JUNK_NAMES]
        if called:
            found["Junk"] = min(called)
    return found


def personal_namespace(lines: Sequence[bytes]) -> Namespace | None:
    """Read the first of the user's own namespaces; None where there is none."""
    for words in responses(lines, b"NAMESPACE"):
        match words:
            case [bytes(kind), [[bytes(raw), delimiter, *_], *_], *_] if (
                kind.upper() == b"NAMESPACE"
            ):
                prefix = mailbox_name(raw)
                return Namespace(prefix, _delimiter(delimiter)) if prefix is not None else None
    return None


def mailbox_name(raw: bytes) -> str | None:
    """Read a name in modified UTF-7 (RFC 3501 section 5.1.3); None for what we could not write.

    A name that is not written as we would write it could not be opened by what it means.
    """
    if len(raw) > NAME_LIMIT * 8:
        return None
    try:
        name = _SHIFTED.sub(_unshifted, raw.decode("ascii"))
        written = modified_utf7(name)
    except (ValueError, binascii.Error):
        return None
    clear = name.isprintable() and len(name) <= NAME_LIMIT
    return name if clear and written.encode() == raw else None


def _unshifted(match: re.Match[str]) -> str:
    if not match[1]:
        return "&"
    packed = match[1].replace(",", "/")
    return base64.b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-16-be")


def _delimiter(value: Value) -> str | None:
    """One character (RFC 9051 section 7.3.1)."""
    if isinstance(value, bytes) and len(value) == 1 and 0x20 < value[0] < 0x7F:
        return value.decode()
    return None
