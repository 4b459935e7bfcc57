# SPDX-License-Identifier: Apache-2.0
"""Tells whether a server repeats a secret in its own words, whole or in part.

A hostile server may spell what it was told in words: as it is, backwards, in an encoding, in
pieces. Whoever can read a status must not read a password there.
"""

import base64
import codecs
import html
import json
import quopri
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

#: Letters in a row that are a good part of a secret; of its encodings, which are longer.
_PART, _ENCODED_PART = 6, 8
#: Pieces of a secret that count, and how much of it they may make up together.
_PIECE, _PIECES_SHARE = 3, 0.5
_LINE_CODE = re.compile(r"(?m)(?:^|(?<=\s))[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")
_NO_LETTER = re.compile(r"[\W_]+")
_LETTERS = re.compile(r"[^\W\d_]+")


def is_echoed(secret: str, said: str, shown: str) -> bool:
    """Whether what a server `said` holds a secret, or what is `shown` of it a good part."""
    if not secret.strip():
        return False
    whole = {form for encoding in _encodings(secret) for form in _forms(encoding)} - {""}
    unquoted = quopri.decodestring(said.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    views = {
        form
        for text in (said, unquoted, unquote(said), html.unescape(said))
        for way in (text, _LINE_CODE.sub("", text))
        for form in _forms(way)
    }
    if any(form in view for view in views for form in whole):
        return True
    letters = _letters(shown)
    for number, encoded in enumerate(_encodings(secret)):
        width = _PART if number < _UNENCODED else _ENCODED_PART
        spelt = _letters(encoded)
        if len(spelt) >= width and any(
            letters[at : at + width] in spelt for at in range(len(letters) - width + 1)
        ):
            return True
    return _is_pieced_together(secret, shown)


def _is_pieced_together(secret: str, shown: str) -> bool:
    """Whether words that are part of a secret make up half of it, whatever is in between."""
    words = {word for word in _LETTERS.findall(shown.lower()) if len(word) >= _PIECE}
    for way in (secret, secret[::-1]):
        spelt = _letters(way)
        covered = {
            place
            for word in words
            for found in re.finditer(f"(?={re.escape(word)})", spelt)
            for place in range(found.start(), found.start() + len(word))
        }
        if len(covered) >= max(_PART, _PIECES_SHARE * len(spelt)):
            return True
    return False


#: How many of `_encodings` are the secret itself, in other words of one letter for each.
_UNENCODED = 3


def _encodings(secret: str) -> Iterator[str]:
    """Yield a secret in the ways that a text can hold it; the plain ones first."""
    yield secret
    yield secret[::-1]
    yield codecs.encode(secret, "rot13")
    octets = secret.encode("utf-8", "surrogatepass")
    for data in (octets, octets[::-1]):
        yield data.hex()
        for shift in range(3):
            yield base64.b64encode(b"\0" * shift + data).decode()[4 if shift else 0 :].rstrip("=")
    yield base64.b64encode(octets).decode()[::-1].lstrip("=")
    yield base64.b32encode(octets).decode().rstrip("=")
    yield quote(octets, safe="")
    yield json.dumps(secret)[1:-1]
    # As an IMAP quoted string (RFC 9051 section 4.3).
    yield secret.replace("\\", "\\\\").replace('"', '\\"')
    yield secret.encode("utf-7", "replace").decode()


def _forms(text: str) -> set[str]:
    """Without white space, and without all that is neither letter nor digit."""
    squeezed = re.sub(r"[\s…]", "", text).lower()
    letters = _letters(text)
    # What has few letters among its signs is in every text.
    return {squeezed, letters} if len(letters) >= _PART else {squeezed}


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", text).lower()
