# SPDX-License-Identifier: Apache-2.0
"""SCRAM as the client (RFC 5802, RFC 7677), for servers that take a password in no other way.

Without channel binding: the connection is over verified TLS. The server learns no password, and
must prove at the end that it knows what belongs to it.
"""

import base64
import hashlib
import hmac
import re
import secrets
import stringprep
from unicodedata import ucd_3_2_0

from postroom.mail.report import Login

#: Mechanism -> hash, in the order of preference: what servers store most often goes first.
SCRAM = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1", "SCRAM-SHA-512": "sha512"}

#: GS2 header: no channel binding, no other name to act as (RFC 5802 section 7).
_GS2 = "n,,"
_CHALLENGE_LIMIT = 4096
#: A hostile server must not choose how long we compute: about a quarter of a second.
_ITERATIONS_LIMIT = 600_000
_FIRST = re.compile(r"r=([!-+\--~]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,8})(?:,.*)?", re.DOTALL)
_FINAL = re.compile(rb"v=([A-Za-z0-9+/=]+)(?:,.*)?", re.DOTALL)
#: What is in no name and no password (RFC 4013 section 2.3).
_PROHIBITED = (
    *(stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3),
    *(stringprep.in_table_c4, stringprep.in_table_c5, stringprep.in_table_c6),
    *(stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9),
)


class ScramExchange:
    """One exchange; its messages are before base64.

    `verified` says whether the server has proven that it knows the password, or what was made of it
    (RFC 5802 section 3): without that its yes is worth nothing.
    """

    def __init__(self, mechanism: str, login: Login, nonce: str | None = None) -> None:
        self.mechanism = mechanism
        self.verified = False
        self._hash = SCRAM[mechanism]
        self._password = prepared(login.password.reveal()).encode()
        self._nonce = nonce or secrets.token_hex(16)
        name = prepared(login.username).replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={self._nonce}"
        self._expected: bytes | None = None

    @property
    def first(self) -> bytes:
        """The initial response."""
        return f"{_GS2}{self._bare}".encode()

    def proof(self, challenge: bytes) -> bytes:
        """Answer the server's first message; raises `ValueError` for what is none.

        Computes for a while: not for the event loop.
        """
        text = challenge[:_CHALLENGE_LIMIT].decode("ascii")
        found = _FIRST.fullmatch(text)
        if found is None or not found[1].startswith(self._nonce) or found[1] == self._nonce:
            raise ValueError("no first message of a SCRAM server")
        salt, iterations = base64.b64decode(found[2], validate=True), int(found[3])
        if iterations > _ITERATIONS_LIMIT:
            raise ValueError("more iterations than anyone should compute")
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, salt, iterations)
        final = f"c={base64.b64encode(_GS2.encode()).decode()},r={found[1]}"
        signed = f"{self._bare},{text},{final}".encode()
        client_key = self._keyed(salted, b"Client Key")
        signature = self._keyed(hashlib.new(self._hash, client_key).digest(), signed)
        proof = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
        self._expected = self._keyed(self._keyed(salted, b"Server Key"), signed)
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def hear(self, final: bytes) -> bytes:
        """Take the server's last message, whatever it is, and return what answers it: nothing."""
        found = _FINAL.fullmatch(final[:_CHALLENGE_LIMIT])
        if found is not None and self._expected is not None:
            said = found[1].rstrip(b"=")
            made = base64.b64encode(self._expected).rstrip(b"=")
            self.verified = hmac.compare_digest(said, made)
        return b""

    def _keyed(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self._hash)


def prepared(text: str) -> str:
    """Write a name or password as SASLprep has it (RFC 4013); what it prohibits stays as it is.

    Servers that keep to the rule could hold no such password, so that those that do hold it do not.
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(letter) else letter
        for letter in text
        if not stringprep.in_table_b1(letter)
    )
    made = ucd_3_2_0.normalize("NFKC", mapped)
    if not made or any(prohibits(letter) for letter in made for prohibits in _PROHIBITED):
        return text
    # What is written from the right must be so from end to end (RFC 3454 section 6).
    from_the_right = list(map(stringprep.in_table_d1, made))
    from_the_left = any(map(stringprep.in_table_d2, made))
    ends = from_the_right[0] and from_the_right[-1]
    return text if any(from_the_right) and (from_the_left or not ends) else made
