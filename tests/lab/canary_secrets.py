# SPDX-License-Identifier: Apache-2.0
"""Random secrets of every awkward shape, and how a hostile server spells what it was told."""

from __future__ import annotations

import base64
import json
import random
import string
from urllib.parse import quote

ALPHABET = string.ascii_letters + string.digits
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
        shapes = [*SHAPES.values(), "long", "all foreign"]
        shape = shapes[number % len(shapes)]
        if shape == "long":
            return self.core(200)
        if shape == "all foreign":
            return "".join(self._source.choices(_FOREIGN, k=18))
        return shape.format(self.core())

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
    ]


def spelt(secret: str) -> bytes:
    """All spellings in one line."""
    return b" ".join(spellings(secret))
