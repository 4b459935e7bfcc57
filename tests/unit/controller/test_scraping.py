# SPDX-License-Identifier: Apache-2.0
"""Who may read /metrics.

Covers: no token, a foreign one, one whose user may not, one that may, an API server that does not
answer, for how long an answer holds, what is remembered, that nobody flushes it, and how often the
API server is asked about tokens that nobody knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.masked import Masked
from postroom.controller.client import ApiError
from postroom.controller.health import add_metrics
from postroom.controller.scraping import Permission, ScrapePermission
from postroom.metrics import Metrics


@dataclass
class Reviews:
    """An API server that knows three users, and as many tokens of each as somebody makes."""

    #: What every question is answered with; 0: as it should be.
    fails: int = 0
    asked: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    async def review_token(self, token: Masked) -> Mapping[str, Any] | None:
        self.asked.append(token.reveal())
        if self.fails:
            raise ApiError("POST tokenreviews", self.fails)
        user = token.reveal().rpartition("@")[2]
        return {"username": user} if user in {"prometheus", "reader", "tenant"} else None

    async def may_get(self, user: Mapping[str, Any], path: str) -> bool:
        self.paths.append(path)
        return user["username"] != "tenant"


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


async def test_octets_that_are_no_token_are_asked_about_nowhere_and_are_no_error_of_ours() -> None:
    reviews = Reviews()
    app = web.Application()
    add_metrics(app, Metrics(), ScrapePermission(reviews, "/metrics"))
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        head = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        writer.write(head + b"Authorization: Bearer prometheus\xff\r\n\r\n")
        answered = await reader.readline()
        writer.close()
    assert answered.startswith(b"HTTP/1.1 401 ")
    assert reviews.asked == []


async def test_the_path_is_what_is_asked_for() -> None:
    reviews = Reviews()
    await ScrapePermission(reviews, "/metrics").of("Bearer prometheus")
    assert reviews.paths == ["/metrics"]


async def test_an_api_server_that_does_not_answer_grants_nothing_and_is_asked_again() -> None:
    reviews = Reviews(fails=503)
    permission = ScrapePermission(reviews, "/metrics")
    assert await permission.of("Bearer prometheus") is Permission.UNKNOWN
    reviews.fails = 0
    assert await permission.of("Bearer prometheus") is Permission.GRANTED


async def test_an_answer_holds_for_a_minute_and_no_longer() -> None:
    reviews, clock = Reviews(), Clock()
    permission = ScrapePermission(reviews, "/metrics", clock)
    for clock.now in (0.0, 30.0, 59.0, 61.0):
        assert await permission.of("Bearer prometheus") is Permission.GRANTED
    assert len(reviews.asked) == 2


TOKENS = st.text(alphabet="abcdef", min_size=1, max_size=4)


@given(st.lists(TOKENS, max_size=300))
def test_guesses_fill_no_memory_and_no_token_is_kept(tokens: list[str]) -> None:
    permission = ScrapePermission(Reviews(), "/metrics")

    async def guess() -> None:
        for token in tokens:
            await permission.of(f"Bearer {token}")

    asyncio.run(guess())
    assert len(permission._granted) == 0
    assert len(permission._refused) <= 128
    assert all(len(digest) == 32 for digest in permission._refused)


@given(
    st.lists(st.tuples(st.sampled_from(["{}", "{}@tenant"]), TOKENS), max_size=300),
    st.integers(0, 200),
)
def test_nobody_who_is_refused_has_a_scraper_asked_for_again(
    guesses: list[tuple[str, str]], more: int
) -> None:
    """Guesses, and tokens without number that users make who may not."""
    reviews = Reviews()
    permission = ScrapePermission(reviews, "/metrics")

    async def scrape() -> None:
        assert await permission.of("Bearer prometheus") is Permission.GRANTED
        made = [(form, str(number)) for number in range(more) for form in ("{}", "{}@tenant")]
        for form, name in [*guesses, *made]:
            assert await permission.of(f"Bearer {form.format(name)}") is not Permission.GRANTED
            assert await permission.of("Bearer prometheus") is Permission.GRANTED

    asyncio.run(scrape())
    assert reviews.asked.count("prometheus") == 1


async def test_who_may_read_many_pages_has_no_other_asked_for_again() -> None:
    """Whoever may get all pages asks for those of namespaces that there are not, too."""
    reviews = Reviews()
    permission = ScrapePermission(reviews, "/ui")
    await permission.of("Bearer prometheus")
    for number in range(1000):
        assert await permission.of("Bearer reader", f"/{number}") is Permission.GRANTED
    await permission.of("Bearer prometheus")
    assert reviews.asked.count("prometheus") == 1
    assert len(permission._granted) == 128


async def test_wrong_tokens_cost_only_so_many_questions() -> None:
    reviews, clock = Reviews(), Clock()
    permission = ScrapePermission(reviews, "/metrics", clock)
    assert await permission.of("Bearer prometheus", address="10.0.0.1") is Permission.GRANTED
    told = [await permission.of(f"Bearer {n}", address="10.0.0.2") for n in range(1000)]
    assert set(told) == {Permission.UNAUTHENTICATED, Permission.TOO_MANY}
    assert len(reviews.asked) == 11
    # Ten minutes of it, in which whose answer holds no more is asked about all the same.
    for clock.now in range(1, 600):
        await permission.of(f"Bearer {clock.now}", address="10.0.0.2")
        await permission.of(f"Bearer x{clock.now}", address="10.0.0.2")
        got = await permission.of("Bearer prometheus", address="10.0.0.2")
        assert got is Permission.GRANTED
    assert len(reviews.asked) <= 11 + 600 + 10
    new = await permission.of("Bearer new@prometheus", address="10.0.0.1")
    assert new is Permission.GRANTED, "another address is asked for"


@pytest.mark.parametrize(
    "addresses",
    [
        [f"2001:db8:1:2::{number:x}" for number in range(1, 200)],
        [f"2001:db8:1:2:{number:x}::1" for number in range(1, 200)],
        [f"fe80::{number:x}%eth0" for number in range(1, 200)],
        ["::ffff:10.0.0.2", "10.0.0.2", "::ffff:a00:2"] * 60,
        ["", "unix", "nobody's"] * 60,
    ],
)
async def test_the_addresses_of_one_sender_are_one(addresses: list[str]) -> None:
    reviews = Reviews()
    permission = ScrapePermission(reviews, "/metrics", Clock())
    for number, address in enumerate(addresses):
        await permission.of(f"Bearer {number}", address=address)
    assert len(reviews.asked) == 10
    for other in ("2001:db8:1:3::1", "::ffff:10.0.0.3", "::1", "fe80::1%eth1"):
        got = await permission.of(f"Bearer {other}@prometheus", address=other)
        assert got is Permission.GRANTED


async def test_however_many_addresses_ask_there_is_a_bound() -> None:
    reviews, clock = Reviews(), Clock()
    permission = ScrapePermission(reviews, "/metrics", clock)
    for number in range(1000):
        await permission.of(f"Bearer {number}", address=f"10.0.{number % 250}.1")
        await permission.of(f"Bearer y{number}", address=f"2001:db8:{number:x}::1")
    assert len(reviews.asked) == 50
    assert len(permission._paces) <= 128


async def test_who_asks_with_one_token_at_once_is_asked_for_once() -> None:
    reviews = Reviews()
    permission = ScrapePermission(reviews, "/metrics")
    told = await asyncio.gather(*(permission.of("Bearer nobody") for _ in range(50)))
    assert set(told) == {Permission.UNAUTHENTICATED}
    assert len(reviews.asked) == 1


async def test_who_asks_too_often_is_told_so() -> None:
    permission = ScrapePermission(Reviews(), "/metrics", Clock())
    for number in range(10):
        await permission.of(f"Bearer {number}", address="127.0.0.1")
    got, text = await answer(permission, "Bearer somebody")
    assert (got, text.count("try again later")) == (429, 1)


async def test_that_we_may_not_ask_who_asks_is_told_once_with_what_to_grant(
    caplog: pytest.LogCaptureFixture,
) -> None:
    permission = ScrapePermission(Reviews(fails=403), "/metrics")
    for token in ("a@prometheus", "b@prometheus"):
        assert await permission.of(f"Bearer {token}") is Permission.UNKNOWN
    (message,) = caplog.messages
    assert "nobody may read /metrics: grant this service account create on tokenreviews" in message


async def test_a_server_that_does_not_answer_is_no_right_that_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    permission = ScrapePermission(Reviews(fails=503), "/metrics")
    assert await permission.of("Bearer a@prometheus") is Permission.UNKNOWN
    assert caplog.messages == []
