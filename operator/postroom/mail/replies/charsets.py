# SPDX-License-Identifier: Apache-2.0
"""Octets of a reply as text: what is no UTF-8 is of an older encoding, and none says of which.

SMTP has texts in ASCII, and in UTF-8 by an extension (RFC 6531 section 3.7.4); IMAP likewise (RFC
9051 section 7.1). Servers answer in what their operator's system is set to all the same. The words
tell which: those of the glossary are words in one of the encodings of ``charsets.yaml``.
"""

from functools import cache
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api.data_files import Row, read
from postroom.mail.replies.glossary import letters_known

#: Octets by which the encoding is chosen.
_LOOKED_AT = 1000
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


class Charset(Row):
    """An encoding by its name in Python, and whose texts are in it."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+$")]
    languages: Annotated[str, StringConstraints(min_length=2)]
    source: Annotated[str, StringConstraints(pattern=r"^(https://[^ ]+|RFC \d+.*)$")]


class Charsets(Row):
    """The whole of ``charsets.yaml``, the likeliest first."""

    charsets: Annotated[tuple[Charset, ...], Field(min_length=1)]


def as_text(octets: bytes) -> str:
    """Return the text of a reply; never raises.

    Of several encodings in which it could be the one counts that makes the most letters into words
    that are known, else the first; what cannot be read becomes U+FFFD.
    """
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        spoilt = octets.decode("utf-8", "replace")
    # Text that is cut, or has one wrong octet, is UTF-8 for all that.
    if spoilt.count(_UNREADABLE) < sum(not each.isascii() for each in spoilt) / 2:
        return spoilt
    begin = octets[:_LOOKED_AT]
    best = max(_names(), key=lambda name: letters_known(begin.decode(name, "replace")))
    return octets.decode(best, "replace")


@cache
def _names() -> tuple[str, ...]:
    found = read("postroom.mail.replies", "charsets.yaml", Charsets).charsets
    return tuple(charset.name for charset in found)
