# SPDX-License-Identifier: Apache-2.0
"""What the tests of probes share: short deadlines, certificates, canaries, and a watch on leaks."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from lab.hostile import Hostile
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.connect.dial import Deadlines
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint, Login, ProbeReport

#: What scripts of servers say where a report must not repeat them.
ECHO = "canary"
PASSWORD = 'hunter2"\\ secret-Gs8'
LOGIN = Login("user@example.com", Masked(PASSWORD))
TOKEN = "hunter2.Zm9v-token"
TOKEN_LOGIN = Login("user@example.com", Masked(TOKEN), token=True)
HOST = "mail.example.com"
SOON = Deadlines(resolve=0.4, connect=0.4, tls=0.4, greeting=0.4, command=0.4, auth=0.4, total=4)
#: For servers that are processes of their own, for which the clock of a test's loop does not stand
#: still: however busy the machine is, they answer within these. An operator's would judge it.
PATIENT = Deadlines(connect=120, tls=120, greeting=120, command=120, auth=120, total=300)
AUTHORITY = trustme.CA()


def context(*names: str, ca: trustme.CA = AUTHORITY, days: int | None = None) -> ssl.SSLContext:
    """A server's context whose certificate is for these names and ends in so many days."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    ca.issue_cert(*(names or (HOST,)), not_after=ends).configure_cert(made)
    return made


def probes(
    port: int,
    addresses: tuple[str, ...] | None = ("127.0.0.1",),
    deadlines: Deadlines = SOON,
    other_ports: tuple[int, ...] = (),
) -> NetworkProbes:
    """Probes that may dial loopback and these ports, where every name has these addresses."""

    async def resolve(host: str) -> tuple[str, ...] | None:
        return addresses

    ports = frozenset({port, *other_ports})
    policy = DialPolicy((ipaddress.ip_network("127.0.0.0/8"),), ports)
    return NetworkProbes(policy, resolve, deadlines, quiet=0)


def endpoint(port: int, mode: TLSMode = TLSMode.NONE, host: str = HOST) -> Endpoint:
    """An endpoint that trusts `AUTHORITY`."""
    return Endpoint(host, port, mode, host, AUTHORITY.cert_pem.bytes().decode(), "mail")


async def smtp(
    server: Hostile, mode: TLSMode, login: Login | None = None, host: str = HOST
) -> ProbeReport:
    return await probes(server.port).probe(endpoint(server.port, mode, host), login)


async def imap(
    server: Hostile,
    login: Login | None = LOGIN,
    mailbox: str = "INBOX",
    mode: TLSMode = TLSMode.IMPLICIT,
    host: str = HOST,
) -> ProbeReport:
    return await probes(server.port).probe(endpoint(server.port, mode, host), login, mailbox)


def outcome(report: ProbeReport) -> tuple[str, str]:
    return report.stage.value, report.reason.value


def verdict(report: ProbeReport) -> tuple[str, str, bool]:
    return report.stage.value, report.reason.value, report.conclusive


async def left_behind(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Tasks that were not there before, once what is ending has ended: a thread may be at it."""
    for _ in range(500):
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        if not left:
            break
        await asyncio.sleep(0.01)
    return left


@pytest.fixture(autouse=True)
async def nothing_leaks(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """No secret in any log, no task and no socket left behind (which is a ResourceWarning)."""
    caplog.set_level(logging.DEBUG)
    before = asyncio.all_tasks()
    yield
    left = await left_behind(before)
    assert left == set(), left
    gc.collect()
    assert "hunter2" not in caplog.text
    assert ECHO not in caplog.text
