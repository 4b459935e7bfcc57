# SPDX-License-Identifier: Apache-2.0
"""How much asyncio reads of a TLS connection at a time.

It gives each a buffer of 256 KiB, which it fills with zeros, and has OpenSSL read into as much
again for each answer. A record has little more than 16 KiB (RFC 8446 section 5.2), and what this
project reads is mostly one: with thirty connections to an API server the buffers were 7 MB.
"""

from asyncio import sslproto

#: Room for two records of TLS.
OCTETS = 32 * 1024


def shrink() -> None:
    """Have TLS connections of this process that begin from now on read so much at a time."""
    sslproto.SSLProtocol.max_size = OCTETS
