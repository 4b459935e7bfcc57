# SPDX-License-Identifier: Apache-2.0
"""Signs what is handed over, by Standard Webhooks (https://www.standardwebhooks.com, v1).

HMAC-SHA256 over ``id.timestamp.body``; with two keys there are two signatures, so that a key is
exchanged without a gap.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Sequence

from postroom.api.masked import Masked

#: What written keys may begin with.
PREFIX = "whsec_"
#: Octets of a key (Standard Webhooks: "between 24 bytes and 64 bytes").
LEAST, MOST = 24, 64


def parse_key(text: str) -> Masked:
    """Return a written key, ``whsec_`` and base64, as it is kept; raises `ValueError`.

    White space around it, as files have it, is nothing.
    """
    written = text.strip()
    try:
        octets = base64.b64decode(written.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if not LEAST <= len(octets) <= MOST:
        raise ValueError(f"must be whsec_ and the base64 of {LEAST} to {MOST} octets")
    return Masked(written.removeprefix(PREFIX))


def signatures(
    keys: Sequence[Masked], event_id: str, timestamp: int, body: bytes | Iterable[bytes]
) -> str:
    """Return the value of ``webhook-signature``: one signature by each key, separated by spaces.

    `timestamp` is in seconds since 1970; `body` is read once, as a whole or piece by piece.
    """
    begun = f"{event_id}.{timestamp}.".encode()
    octets = [base64.b64decode(key.reveal()) for key in keys]
    if isinstance(body, bytes):
        made = [hmac.digest(key, begun + body, "sha256") for key in octets]
    else:
        signers = [hmac.new(key, begun, "sha256") for key in octets]
        for piece in body:
            for signer in signers:
                signer.update(piece)
        made = [signer.digest() for signer in signers]
    return " ".join(f"v1,{base64.b64encode(each).decode()}" for each in made)
