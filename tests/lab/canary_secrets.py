# SPDX-License-Identifier: Apache-2.0
"""Random secrets of every awkward shape, and how a hostile server spells what it was told."""

from __future__ import annotations

import base64
import codecs
import json
import quopri
import random
import string
from urllib.parse import quote

ALPHABET = string.ascii_letters + string.digits
_SYLLABLE = "bcdfghklmnprstvw", "aeiou"
_FOREIGN = "äöüßéñçøåłžαβγδεζηθλμξπφψωабвгдежзийклмнопрстуфхцчшщ한국어日本語字漢🐤🔑"

#: What surrounds the random part, so that quoting, escaping and decoding have something to break;
#: too short to be a leak of its own.
SHAPES: dict[str, str] = {
    "plain": "{}",
    "quotes": "\"'{}'\"",
    "backslashes": '\\{}\\\\"',
    "spaces": "a b {} c  d",
    "percent": "%41%{}%z%(a)s",
    "braces": "{{0}}{}{{}}",
    "base64": "{}==",
    "markup": "[b]{}[/b]&lt;",
    "foreign": "ä€{}ж",
}


class Secrets:
    """Makes secrets, always the same for a seed."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)  # noqa: S311 - reproducible, and no secret of anyone

    def core(self, length: int = 14) -> str:
        """Letters and digits."""
        return "".join(self._source.choices(ALPHABET, k=length))

    def password(self, number: int) -> str:
        """Of another shape for each number in a row."""
        shapes = [*SHAPES.values(), "long", "all foreign", "word", "words"]
        shape = shapes[number % len(shapes)]
        if shape == "long":
            return self.core(200)
        if shape == "all foreign":
            return "".join(self._source.choices(_FOREIGN, k=18))
        if shape == "word":
            return self._letters(14).capitalize()
        if shape == "words":
            return " ".join(self._letters(7) for _ in range(3))
        return shape.format(self.core())

    def _letters(self, count: int) -> str:
        """What reads like a word, so that it passes wherever words may."""
        pairs = ["".join(self._source.choice(one) for one in _SYLLABLE) for _ in range(count)]
        return "".join(pairs)[:count]

    def token(self) -> str:
        """An access or refresh token."""
        return "".join(self._source.choices(ALPHABET + "-._~", k=self._source.randint(40, 90)))


def spellings(secret: str) -> list[bytes]:
    """A secret in every encoding that can stand in one line of a protocol."""
    octets = secret.encode()
    return [
        octets,
        base64.b64encode(octets),
        base64.urlsafe_b64encode(b"\0u\0" + octets),
        base64.b64encode(b"user=u\x01auth=Bearer " + octets + b"\x01\x01"),
        quote(secret).encode(),
        octets.hex().encode(),
        json.dumps(secret).encode(),
        secret.encode("utf-7"),
        octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"'),
        secret[::-1].encode(),
        codecs.encode(secret, "rot13").encode(),
        secret[len(secret) // 4 :].encode(),
        quopri.encodestring(octets, quotetabs=True).replace(b"=\n", b""),
    ]


def spelt(secret: str) -> bytes:
    """All spellings in one line."""
    return b" ".join(spellings(secret))
