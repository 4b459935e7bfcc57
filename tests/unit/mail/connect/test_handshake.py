# SPDX-License-Identifier: Apache-2.0
"""What a server shows to a client that accepts anything: what is old, and what keeps no secrets."""

from __future__ import annotations

import socket

import pytest

from postroom.api.mailserver import TLSMode
from postroom.mail.connect.handshake import Sight, look
from postroom.mail.report import Endpoint

MAIL = Endpoint("mail.example.com", 465, TLSMode.IMPLICIT, "mail.example.com", None, "mail")


@pytest.mark.parametrize(
    ("version", "cipher", "secrecy"),
    [
        ("TLSv1.3", "TLS_AES_128_GCM_SHA256", True),
        ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", True),
        ("TLSv1.2", "DHE-RSA-AES256-SHA", True),
        ("TLSv1.2", "AES256-SHA", False),
        ("TLSv1.2", "ECDH-RSA-AES128-SHA", False),
        ("TLSv1.2", None, False),
        (None, None, False),
    ],
)
def test_forward_secrecy(version: str | None, cipher: str | None, secrecy: bool) -> None:
    assert Sight(version=version, cipher=cipher).has_forward_secrecy is secrecy


@pytest.mark.parametrize(
    ("version", "old"),
    [("SSLv3", True), ("TLSv1", True), ("TLSv1.1", True), ("TLSv1.2", False), ("TLSv1.3", False),
     (None, False)],
)  # fmt: skip
def test_versions_that_are_forbidden(version: str | None, old: bool) -> None:
    assert Sight(version=version).is_old is old


@pytest.mark.parametrize("said", [b"", b"220 mail.example.com ESMTP\r\n", b"\x00" * 64])
async def test_where_there_is_no_tls_nothing_is_seen(said: bytes) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.sendall(said)
    theirs.shutdown(socket.SHUT_WR)
    assert await look(ours, MAIL) == Sight()
    assert ours.fileno() == -1
    theirs.close()
