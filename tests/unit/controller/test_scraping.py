# SPDX-License-Identifier: Apache-2.0
"""Who may read /metrics, and the certificate that the listener shows.

Covers: no token, a foreign one, one whose user may not, one that may, an API server that does not
answer, for how long an answer holds, what is remembered; a certificate that is renewed, one that is
broken when it is renewed, and one that is broken from the start.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.masked import Masked
from postroom.controller.client import ApiError
from postroom.controller.health import add_metrics, serve
from postroom.controller.scraping import Permission, ScrapePermission
from postroom.controller.server_tls import CertificateUnusable, ServerTLS
from postroom.metrics import Metrics


@dataclass
class Reviews:
    """An API server that knows two tokens."""

    fails: bool = False
    asked: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    async def review_token(self, token: Masked) -> Mapping[str, Any] | None:
        self.asked.append(token.reveal())
        if self.fails:
            raise ApiError("POST tokenreviews", 503)
        known = {"prometheus", "tenant"}
        return {"username": token.reveal()} if token.reveal() in known else None

    async def may_get(self, user: Mapping[str, Any], path: str) -> bool:
        self.paths.append(path)
        return user["username"] == "prometheus"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def answer(permission: ScrapePermission, header: str | None) -> tuple[int, str]:
    app = web.Application()
    add_metrics(app, Metrics(), permission)
    async with TestClient(TestServer(app)) as client:
        headers = {} if header is None else {"Authorization": header}
        got = await client.get("/metrics", headers=headers)
        return got.status, await got.text()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer  ", 401),
        ("Basic cHJvbWV0aGV1cw==", 401),
        ("prometheus", 401),
        ("Bearer somebody", 401),
        ("Bearer " + "x" * 4000, 401),
        ("Bearer tenant", 403),
        ("Bearer prometheus", 200),
        ("bearer prometheus", 200),
    ],
)
async def test_metrics_go_to_whom_the_api_server_grants_them(
    header: str | None, status: int
) -> None:
    got, text = await answer(ScrapePermission(Reviews(), "/metrics"), header)
    assert got == status
    assert ("postroom_" in text) == (status == 200)


async def test_the_path_is_what_is_asked_for() -> None:
    reviews = Reviews()
    await ScrapePermission(reviews, "/metrics").of("Bearer prometheus")
    assert reviews.paths == ["/metrics"]


async def test_an_api_server_that_does_not_answer_grants_nothing_and_is_asked_again() -> None:
    reviews = Reviews(fails=True)
    permission = ScrapePermission(reviews, "/metrics")
    assert await permission.of("Bearer prometheus") is Permission.UNKNOWN
    reviews.fails = False
    assert await permission.of("Bearer prometheus") is Permission.GRANTED


async def test_an_answer_holds_for_a_minute_and_no_longer() -> None:
    reviews, clock = Reviews(), Clock()
    permission = ScrapePermission(reviews, "/metrics", clock)
    for clock.now in (0.0, 30.0, 59.0, 61.0):
        assert await permission.of("Bearer prometheus") is Permission.GRANTED
    assert len(reviews.asked) == 2


@given(st.lists(st.text(alphabet="abcdef", min_size=1, max_size=4), max_size=300))
def test_guesses_fill_no_memory_and_no_token_is_kept(tokens: list[str]) -> None:
    permission = ScrapePermission(Reviews(), "/metrics")

    async def guess() -> None:
        for token in tokens:
            await permission.of(f"Bearer {token}")

    asyncio.run(guess())
    assert len(permission._known) <= 128
    assert all(len(digest) == 32 for digest in permission._known)


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
