# SPDX-License-Identifier: Apache-2.0
"""The watch notices: code that leaks on purpose, in each way, is caught, and what it leaves behind.

Covers: logs (messages, arguments, extras, exceptions and those behind them), at levels that are
off; warnings; objects that print what they hold; tasks, sockets and complaints that are left.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from lab.canary_watch import Watch, watching
from lab.hostile import Hostile, smtp_until_auth
from lab.mail_probing import context, endpoint, probes
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint, Login, ProbeReport

SECRET = 'Gs8k"Q2vT\\z9bXw4'
LOG = logging.getLogger("aioimaplib")


@dataclass
class Unmasked:
    """As `Login` would be without `Masked`."""

    password: str


def plain(_: Watch) -> None:
    LOG.debug("sending %s", SECRET)


def encoded(_: Watch) -> None:
    LOG.debug("AUTH PLAIN %s", base64.b64encode(f"\0u\0{SECRET}".encode()).decode())


def extra(_: Watch) -> None:
    LOG.info("said", extra={"object": {"name": SECRET}})


def hidden_argument(_: Watch) -> None:
    LOG.debug("%.3s", SECRET)


def behind(_: Watch) -> None:
    try:
        try:
            int(SECRET)
        except ValueError:
            raise RuntimeError("refused") from None
    except RuntimeError:
        logging.getLogger("postroom.mail").exception("failed")


def attribute(_: Watch) -> None:
    error = RuntimeError("refused")
    error.__dict__["reply"] = f"535 {SECRET}"
    logging.getLogger("kopf").error("failed", exc_info=error)


def object_of_ours(watch: Watch) -> None:
    watch.see("login", Unmasked(SECRET))


def within_a_mapping(watch: Watch) -> None:
    watch.see("secrets", {"a": [Unmasked(SECRET)]})


def turned_off(_: Watch) -> None:
    LOG.setLevel(logging.DEBUG)
    logging.getLogger("aiosmtplib.of.a.kind").debug(SECRET)


WAYS = (
    *(plain, encoded, extra, hidden_argument, behind, attribute),
    *(object_of_ours, within_a_mapping, turned_off),
)


@pytest.mark.parametrize("way", WAYS, ids=lambda one: one.__name__)
async def test_what_leaks_is_caught(way: Callable[[Watch], None]) -> None:
    with pytest.raises(AssertionError, match="password"):
        async with watching() as watch:
            watch.hide("password", SECRET)
            way(watch)


async def test_what_is_masked_is_not() -> None:
    async with watching() as watch:
        watch.hide("password", SECRET)
        login = Login("user", Masked(SECRET))
        watch.see("login", login, {"a": login}, [login.password])
        LOG.debug("%s %r", login, login)


class Talkative(NetworkProbes):
    """A probe that says what it does, as one would while looking for a bug."""

    async def probe(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None = None
    ) -> ProbeReport:
        assert login is not None
        logging.getLogger("postroom.mail.smtp.auth").debug(
            "as %s", login.password.reveal().encode()
        )
        return await super().probe(endpoint, login, mailbox)


async def test_a_probe_that_leaks_is_caught() -> None:
    with pytest.raises(AssertionError, match=r"log of postroom\.mail\.smtp\.auth: password"):
        async with watching() as watch:
            watch.hide("password", SECRET)
            steps = smtp_until_auth(b"AUTH PLAIN", after=("read", b"535 5.7.8 no\r\n"))
            async with Hostile(*steps, context=context(), implicit=True) as server:
                made = probes(server.port)._connector.dialler
                talkative = Talkative(made._policy, made._resolve)
                login = Login("user@example.com", Masked(SECRET))
                await talkative.probe(endpoint(server.port, TLSMode.IMPLICIT), login)


async def task(kept: list[object]) -> None:
    kept.append(asyncio.create_task(asyncio.sleep(60)))


async def open_socket(kept: list[object]) -> None:
    kept.append(socket.socket())


async def forgotten_socket(kept: list[object]) -> None:
    socket.socket()


async def never_awaited(kept: list[object]) -> None:
    task([])  # type: ignore[unused-coroutine]


async def failed_task(kept: list[object]) -> None:
    async def fail() -> None:
        raise ValueError("lost")

    asyncio.create_task(fail())  # noqa: RUF006 - to be collected
    await asyncio.sleep(0)


LEAVINGS: dict[str, Callable[[list[object]], Awaitable[None]]] = {
    "task left": task,
    "sockets left": open_socket,
    "unraisable: ResourceWarning": forgotten_socket,
    "unraisable: RuntimeWarning": never_awaited,
    "event loop: Task exception": failed_task,
}


@pytest.mark.parametrize("what", LEAVINGS)
async def test_what_is_left_behind_is_noticed(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.canary_watch._PATIENCE", 0.1)
    kept: list[object] = []
    leave = LEAVINGS[what]
    with pytest.raises(AssertionError, match=what):
        async with watching():
            await leave(kept)
    for one in kept:
        if isinstance(one, socket.socket):
            one.close()
        if isinstance(one, asyncio.Task):
            one.cancel()


async def test_warnings_are_errors() -> None:
    with pytest.raises(UserWarning, match="odd"):
        async with watching():
            warnings.warn("odd", stacklevel=1)
