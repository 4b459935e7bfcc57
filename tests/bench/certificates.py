# SPDX-License-Identifier: Apache-2.0
"""The certificate that servers of a benchmark show, handed to their process as bytes."""

from __future__ import annotations

import ssl

import trustme


def certified(authority: trustme.CA, *names: str) -> bytes:
    """A key and its certificate in PEM, as they are handed to the process."""
    leaf = authority.issue_cert(*names)
    return leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes()


def showing(pair: bytes) -> ssl.SSLContext:
    """What servers show the certificate of a pair with."""
    mark = b"-----BEGIN CERTIFICATE-----"
    key, _, certificate = pair.partition(mark)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.LeafCert(key, mark + certificate, []).configure_cert(made)
    return made
