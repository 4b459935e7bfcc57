# SPDX-License-Identifier: Apache-2.0
"""Reads the files of credentials that nsc writes, and signs with them what a server of NATS asks.

A file has the token of a user (JWT) and its seed: base32 of two octets that say what it is of, the
32 octets of an Ed25519 private key, and a checksum. A server that gets the token has us sign a
nonce.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postroom.api.masked import Masked

_BLOCK = r"-{3,}BEGIN %s-{3,}\s*(\S+)\s*-{3,}END %s-{3,}"
_TOKEN = re.compile(_BLOCK % (("NATS USER JWT",) * 2))
_SEED = re.compile(_BLOCK % (("USER NKEY SEED",) * 2))
#: The first octets of a seed: that it is one, and of a user.
_OF_A_USER = bytes([(18 << 3) | (20 << 3 >> 5), (20 << 3 & 31) << 3])


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one user: as nats-py asks for them."""

    token: Masked
    _seed: Masked

    def jwt(self) -> bytes:
        """The token, which the server is sent."""
        return self.token.reveal().encode()

    def sign(self, nonce: str) -> bytes:
        """The signature of what the server gave, in base64."""
        key = Ed25519PrivateKey.from_private_bytes(base64.b32decode(self._seed.reveal())[2:34])
        return base64.b64encode(key.sign(nonce.encode()))


def read(path: Path) -> Credentials:
    """Read a file of credentials; raises `ValueError` where it is none, and `OSError`."""
    text = path.read_text(encoding="ascii")
    token, seed = _TOKEN.search(text), _SEED.search(text)
    if token is None or seed is None:
        raise ValueError("no token and seed of a user")
    padded = seed[1] + "=" * (-len(seed[1]) % 8)
    octets = base64.b32decode(padded)
    checksum = binascii.crc_hqx(octets[:-2], 0).to_bytes(2, "little")
    if len(octets) != 36 or octets[:2] != _OF_A_USER or octets[-2:] != checksum:
        raise ValueError("no seed of a user")
    return Credentials(Masked(token[1]), Masked(padded))
