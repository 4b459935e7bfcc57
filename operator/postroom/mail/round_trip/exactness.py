# SPDX-License-Identifier: Apache-2.0
"""Holds a message against what it was to say, octet by octet, before it is sent.

It shares no code with what writes messages, nor with the standard library: a fault of either
shows here. It reads as strictly as no mail server does (RFC 5322 without its obsolete syntax).
"""

import base64
import binascii
import re
from collections.abc import Sequence

_END_OF_LINE = b"\r\n"
#: Octets of a line (RFC 5322 section 2.1.1).
_LINE_LIMIT = 998
_LINE = re.compile(rb"[\x20-\x7e]*")
_FIELD = re.compile(rb"([!-9;-~]+): ([!-~]([ -~]*[!-~])?)")
_CONTINUATION = re.compile(rb" [!-~]([ -~]*[!-~])?")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ENCODED = re.compile(r"=\?utf-8\?(?:b\?([A-Za-z0-9+/]+={0,2})|q\?([A-Za-z0-9!*+/=_-]+))\?=")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_OCTET = re.compile(rb"=([0-9A-F]{2})|(=)")


class InexactMessage(ValueError):
    """A message says more, less or something else than it was to say; it must not be sent."""


def require_exact(octets: bytes, fields: Sequence[tuple[str, str]], body: bytes) -> None:
    """Raise `InexactMessage` unless a message has these fields, once, in this order, and this body.

    The fields are given unfolded.
    """
    header, separator, found_body = octets.partition(_END_OF_LINE * 2)
    if not separator or found_body != body:
        raise InexactMessage("the body of the message is not the one that was written")
    lines = body.split(_END_OF_LINE)
    if lines[-1] != b"" or not all(_fits(line) for line in lines):
        raise InexactMessage("a line of the message is no line of printable ASCII")
    found: list[tuple[str, str]] = []
    for line in header.split(_END_OF_LINE):
        field = _FIELD.fullmatch(line)
        if not _fits(line):
            raise InexactMessage("a line of the header is no line of printable ASCII")
        if field is not None:
            found.append((field[1].decode(), field[2].decode()))
        elif found and _CONTINUATION.fullmatch(line):
            name, value = found[-1]
            found[-1] = (name, value + line.decode())
        else:
            raise InexactMessage("a line of the header is no field")
    if found != list(fields):
        raise InexactMessage("the header of the message is not the one that was written")


def _fits(line: bytes) -> bool:
    return len(line) <= _LINE_LIMIT and _LINE.fullmatch(line) is not None


def require_mailbox(value: str, name: str, address: str) -> None:
    """Raise `InexactMessage` unless a field's body is one address with this display name."""
    if name:
        before, _, found = value.rpartition(" ")
        exact = found == f"<{address}>" and _name_of(before) == name
    else:
        exact = value == address
    if not exact:
        raise InexactMessage("an address of the message is not the one that was written")


def _name_of(text: str) -> str | None:
    """Read a phrase as strictly as it is written here; None where it is none."""
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        return re.sub(r"\\(.)", r"\1", quoted[1]) if "=?" not in text else None
    words = text.split(" ")
    if "=?" not in text:
        return text if all(re.fullmatch(_ATOM, word) for word in words) else None
    decoded = [_decoded(word) for word in words]
    parts = [part for part in decoded if part is not None]
    return "".join(parts) if len(parts) == len(words) else None


def _decoded(word: str) -> str | None:
    """Read one encoded-word (RFC 2047 section 2), which holds whole characters."""
    match = _ENCODED.fullmatch(word)
    if match is None or len(word) > 75:
        return None
    try:
        if match[1] is not None:
            return base64.b64decode(match[1], validate=True).decode()
        octets = match[2].replace("_", " ").encode()
        if any(found[2] for found in _OCTET.finditer(octets)):
            return None
        return _OCTET.sub(lambda found: bytes([int(found[1], 16)]), octets).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
