# SPDX-License-Identifier: Apache-2.0
"""Writes the display name before an address (RFC 5322 section 3.4), so that it stays a name.

The standard library is not used for this: some of its versions decode what looks like an
encoded-word before they fold it (CPython gh-121650), and lose the quotes around specials
(gh-121284). Here nothing is ever decoded: a name is written as the text that it is.
"""

import base64
import re

from postroom.api.fields import UNPRINTED

#: Octets of UTF-8; more would not fit beside the longest addresses.
DISPLAY_NAME_LIMIT = 256
#: Octets of a line without its end (RFC 5322 section 2.1.1).
LINE_LIMIT = 78

_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
_PRINTABLE = re.compile(r"[ -~]*")
#: What a quoted string may be long, so that it never needs to be folded.
_QUOTED_LIMIT = 60
#: Characters of an encoded-word (RFC 2047 section 2).
_WORD_LENGTH = 75
#: What an encoded-word of a phrase does not hold as it is (RFC 2047 section 5, rule 3); a space
#: becomes an underscore.
_ENCODED = re.compile(rb"[^A-Za-z0-9!*+/ -]")
#: Those, and halves of characters, which no encoding can write.
_UNFIT = re.compile(rf"[{UNPRINTED}\ud800-\udfff]")


def readable(name: str) -> str:
    """Return a name without what breaks, turns or hides text, cut to what fits."""
    octets = " ".join(_UNFIT.sub(" ", name).split()).encode()[:DISPLAY_NAME_LIMIT]
    return octets.decode(errors="ignore").strip()


def phrase(name: str) -> tuple[str, ...]:
    """Write a readable name as words that may stand on lines of their own.

    Atoms, else one quoted string, else encoded-words of its text (RFC 2047). What contains ``=?``
    is always encoded: readers decode what looks like an encoded-word, even within quotes.
    """
    if not name:
        return ()
    if _PRINTABLE.fullmatch(name) and "=?" not in name:
        words = tuple(name.split(" "))
        if all(_ATOM.fullmatch(word) for word in words) and max(map(len, words)) <= _QUOTED_LIMIT:
            return words
        escaped = re.sub(r'(["\\])', r"\\\1", name)
        if len(escaped) <= _QUOTED_LIMIT:
            return (f'"{escaped}"',)
    encoded, chunk = [], ""
    for letter in name:
        if len(_encoded(chunk + letter)) > _WORD_LENGTH:
            encoded.append(_encoded(chunk))
            chunk = ""
        chunk += letter
    return (*encoded, _encoded(chunk))


def _encoded(text: str) -> str:
    """Write text as one encoded-word, in the shorter of both encodings."""
    octets = text.encode()
    in_base64 = f"=?utf-8?b?{base64.b64encode(octets).decode()}?="
    quoted = _ENCODED.sub(lambda found: b"=%02X" % found[0][0], octets).replace(b" ", b"_")
    return min(in_base64, f"=?utf-8?q?{quoted.decode()}?=", key=len)


def folded(name: str, words: tuple[str, ...]) -> bytes:
    """Write a field of words between which it may be folded (RFC 5322 section 2.2.3)."""
    lines = [f"{name}:"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > LINE_LIMIT and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += f" {word}"
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
