# SPDX-License-Identifier: Apache-2.0
"""Where the operator is asked: at one address or two, in TLS, and what keeps it from listening."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from postroom.controller.cache import Cache
from postroom.controller.endpoints import Endpoints, StartError
from postroom.controller.health import Health
from postroom.controller.queue import KeyedQueue
from postroom.controller.scraping import Reviewer
from postroom.controller.status_page import StatusPage
from postroom.lab.operator_process import free_port
from postroom.metrics import Metrics
from postroom.settings import Settings


def free() -> tuple[str, int]:
    return "127.0.0.1", free_port()


def spawn(work: Coroutine[Any, Any, None]) -> None:
    raise AssertionError("no certificate is to be followed")


def endpoints(**settings: Any) -> Endpoints:
    values = {"health_address": None, "metrics_address": None, **settings}
    asked = Settings().model_copy(update=values)
    health = Health(KeyedQueue(), 60.0)
    page = StatusPage(Cache(), (), lambda: True)
    return Endpoints(asked, health, Metrics(), cast("Reviewer", None), spawn, page)


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[None]:
    listening = endpoints(**settings)
    try:
        await listening.serve()
        yield
    finally:
        await listening.close()


async def answers(address: tuple[str, int], host: str = "localhost") -> dict[str, int]:
    """The status of each path; 0 where nobody listens."""
    found = {}
    headers = {"Host": host}
    async with aiohttp.ClientSession() as session:
        for path in ("healthz", "metrics", "ui"):
            try:
                async with session.get(
                    f"http://{address[0]}:{address[1]}/{path}", headers=headers
                ) as answer:
                    found[path] = answer.status
            except aiohttp.ClientConnectorError:
                found[path] = 0
    return found


async def test_with_one_address_all_is_asked_there_until_it_closes() -> None:
    address = free()
    async with served(health_address=address):
        assert await answers(address) == {"healthz": 200, "metrics": 200, "ui": 404}
    assert await answers(address) == {"healthz": 0, "metrics": 0, "ui": 0}


async def test_with_two_addresses_each_serves_its_own() -> None:
    health, metrics = free(), free()
    async with served(health_address=health, metrics_address=metrics):
        assert await answers(health) == {"healthz": 200, "metrics": 404, "ui": 404}
        assert await answers(metrics) == {"healthz": 404, "metrics": 200, "ui": 404}


async def test_with_authorization_nobody_reads_metrics_without_a_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = free()
    with caplog.at_level(logging.WARNING):
        async with served(health_address=address, metrics_auth=True):
            assert await answers(address) == {"healthz": 200, "metrics": 401, "ui": 404}
    assert "tokens of scrapers come in clear" in caplog.text


async def test_the_page_stands_beside_the_metrics_where_it_is_asked_for() -> None:
    health, metrics = free(), free()
    async with served(health_address=health, ui=True):
        assert await answers(health) == {"healthz": 200, "metrics": 200, "ui": 200}
    async with served(health_address=health, metrics_address=metrics, ui=True):
        assert await answers(health) == {"healthz": 200, "metrics": 404, "ui": 404}
        assert await answers(metrics) == {"healthz": 404, "metrics": 200, "ui": 200}
    with pytest.raises(StartError, match="--ui needs --health-address or --metrics-address"):
        await endpoints(ui=True).serve()


async def test_with_authorization_nobody_reads_the_page_without_a_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = free()
    with caplog.at_level(logging.WARNING):
        async with served(health_address=address, ui=True, ui_auth=True):
            assert await answers(address) == {"healthz": 200, "metrics": 200, "ui": 401}
    assert "tokens of readers come in clear" in caplog.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "10.0.0.1.nip.io"])
@pytest.mark.parametrize("auth", [False, True])
async def test_nothing_is_read_under_a_strangers_name(host: str, auth: bool) -> None:
    """As a browser does whose page had its name lead here (DNS rebinding)."""
    health, metrics = free(), free()
    both = {"ui": True, "ui_auth": auth, "metrics_auth": auth}
    refused = {"healthz": 421, "metrics": 421, "ui": 421}
    with_token = {"metrics": 401, "ui": 401} if auth else {}
    async with served(health_address=health, **both):
        assert await answers(health, host) == {**refused, **with_token}
    async with served(health_address=health, metrics_address=metrics, **both):
        assert await answers(health, host) == refused
        assert await answers(metrics, host) == {**refused, **with_token}


async def test_what_an_administrator_lists_is_answered() -> None:
    health = free()
    async with served(health_address=health, ui=True, allow_http_hosts=("ops.example.com",)):
        found = await answers(health, "ops.example.com")
        assert found == {"healthz": 200, "metrics": 200, "ui": 200}
        assert set((await answers(health, "evil.example")).values()) == {421}


async def test_nothing_listens_where_both_are_off() -> None:
    async with served():
        pass


async def test_a_certificate_needs_an_address_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="--metrics-tls-directory needs --metrics-address"):
        await endpoints(health_address=free(), metrics_tls_directory=tmp_path).serve()


async def test_a_certificate_that_is_missing_is_named_with_its_flag(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"--metrics-tls-directory: .*tls\.crt cannot be read"):
        await endpoints(metrics_address=free(), metrics_tls_directory=tmp_path).serve()


@pytest.mark.parametrize("field", ["health_address", "metrics_address"])
async def test_an_address_in_use_is_named_with_the_flag_to_change(field: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = taken.getsockname()
        with pytest.raises(StartError) as raised:
            await endpoints(**{field: address}).serve()
    said = str(raised.value)
    assert f"nothing can listen on 127.0.0.1:{address[1]} (" in said
    assert f"choose another --{field.replace('_', '-')}, or off" in said
    await asyncio.sleep(0)
