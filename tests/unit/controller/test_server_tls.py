# SPDX-License-Identifier: Apache-2.0
"""The certificate that the operator's own listener shows.

Covers: one that is renewed, one that is broken when it is renewed, and one that is broken from the
start.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from postroom.controller.health import serve
from postroom.controller.server_tls import CertificateUnusable, ServerTLS


def put(directory: Path, authority: trustme.CA, name: str) -> None:
    issued = authority.issue_cert(name)
    (directory / "tls.key").write_bytes(issued.private_key_pem.bytes())
    (directory / "tls.crt").write_bytes(issued.cert_chain_pems[0].bytes())


async def shown(port: int, authority: trustme.CA, name: str) -> bool:
    """Whether the listener shows a certificate for a name."""
    client = ssl.create_default_context()
    authority.configure_trust(client)
    try:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname=name
        )
    except ssl.SSLCertVerificationError:
        return False
    writer.close()
    return True


async def test_a_renewed_certificate_is_shown_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = trustme.CA()
    put(tmp_path, authority, "first.example")
    served = ServerTLS(tmp_path)
    runner = await serve(web.Application(), "127.0.0.1", 0, served.context)
    port = runner.addresses[0][1]
    try:
        assert await shown(port, authority, "first.example")
        put(tmp_path, authority, "second.example")
        served.refresh()
        assert await shown(port, authority, "second.example")
        (tmp_path / "tls.crt").write_text("not a certificate")
        with caplog.at_level(logging.ERROR):
            served.refresh()
            served.refresh()
        assert await shown(port, authority, "second.example")
        assert len(caplog.records) == 1
        put(tmp_path, authority, "third.example")
        served.refresh()
        assert await shown(port, authority, "third.example")
    finally:
        await runner.cleanup()


def test_what_cannot_be_served_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CertificateUnusable, match=r"tls\.crt cannot be read \(No such file"):
        ServerTLS(tmp_path)
    put(tmp_path, trustme.CA(), "first.example")
    other = tmp_path / "other"
    other.mkdir()
    put(other, trustme.CA(), "other.example")
    (tmp_path / "tls.key").write_bytes((other / "tls.key").read_bytes())
    with pytest.raises(CertificateUnusable, match="cannot be used"):
        ServerTLS(tmp_path)
