# SPDX-License-Identifier: Apache-2.0
"""A server's side of SCRAM-SHA-256."""

from __future__ import annotations

import base64
import hashlib
import hmac

from lab.mail_probing import PASSWORD

KIND = "sha256"


class Knowing:
    """The server's side (RFC 5802 section 3); knows the `password`."""

    def __init__(self, password: str = PASSWORD, iterations: int = 2, cheats: bool = False) -> None:
        self._password, self._iterations, self._cheats = password, iterations, cheats
        self._bare = self._said = b""

    def challenge(self, line: bytes) -> bytes:
        """Read the client's first message at the end of a line."""
        self._bare = base64.b64decode(line.split()[-1]).removeprefix(b"n,,")
        nonce = self._bare.rpartition(b"r=")[2]
        salt = base64.b64encode(b"salt")
        self._said = b"r=%sserver,s=%s,i=%d" % (nonce, salt, self._iterations)
        return base64.b64encode(self._said)

    def final(self, line: bytes) -> bytes | None:
        """Judge the proof; None for a wrong one."""
        last, _, proof = base64.b64decode(line).rpartition(b",p=")
        if not last:
            return None
        salted = hashlib.pbkdf2_hmac(KIND, self._password.encode(), b"salt", self._iterations)
        signed = b",".join((self._bare, self._said, last))
        key = hmac.digest(salted, b"Client Key", KIND)
        signature = hmac.digest(hashlib.new(KIND, key).digest(), signed, KIND)
        wanted = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        if base64.b64decode(proof) != wanted and not self._cheats:
            return None
        if self._cheats:
            return base64.b64encode(b"v=" + base64.b64encode(b"x" * 32))
        proven = hmac.digest(hmac.digest(salted, b"Server Key", KIND), signed, KIND)
        return base64.b64encode(b"v=" + base64.b64encode(proven))
