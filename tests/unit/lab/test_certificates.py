# SPDX-License-Identifier: Apache-2.0
"""The lab's authority is kept between runs, and made anew before it ends."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from postroom.lab.certificates import NAMES, authority, server_context


def pem(ca: trustme.CA) -> bytes:
    return ca.cert_pem.bytes()


def test_an_authority_is_made_once_and_its_key_is_for_us_alone(tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    made = authority(directory)
    assert pem(authority(directory)) == pem(made)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "ca.key").stat().st_mode) == 0o600
    assert pem(authority(tmp_path / "other")) != pem(made)


@pytest.mark.parametrize(("left", "kept"), [(timedelta(days=1), False), (timedelta(days=3), True)])
def test_one_that_ends_soon_is_replaced(left: timedelta, kept: bool, tmp_path: Path) -> None:
    old = trustme.CA().issue_cert(*NAMES, not_after=datetime.now(UTC) + left)
    shown = old.cert_chain_pems[0].bytes()
    (tmp_path / "ca.crt").write_bytes(shown)
    (tmp_path / "ca.key").write_bytes(old.private_key_pem.bytes())
    assert (pem(authority(tmp_path)) == shown) is kept


def test_half_of_one_is_none(tmp_path: Path) -> None:
    made = authority(tmp_path)
    (tmp_path / "ca.key").unlink()
    assert pem(authority(tmp_path)) != pem(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_server_shows_the_labs_names(name: str, tmp_path: Path) -> None:
    """A handshake in memory, as a client that trusts the authority and checks names makes it."""
    ca = authority(tmp_path)
    trusting = ssl.create_default_context(cadata=pem(ca).decode())
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(incoming, outgoing, server_hostname=name)
    server = server_context(ca).wrap_bio(outgoing, incoming, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert (client.getpeercert() or {})["subjectAltName"] == tuple(("DNS", each) for each in NAMES)
