# SPDX-License-Identifier: Apache-2.0
"""No secret shows in what the engine makes of hostile servers: status, Events, metrics, memory.

Covers: passwords, through every failure of both protocols and every errand of an account (checks,
envelopes, test messages, round trips, histories, removals), and through the lab's own servers; the
operator's key, which proves test messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path

import pytest

from lab.canary_secrets import Secrets
from lab.canary_servers import IMAP, IMAP_ERRANDS, SMTP, SMTP_ERRANDS, Row
from lab.canary_watch import Watch, watching
from lab.canary_world import (
    ADDRESS,
    CanaryWorld,
    Ports,
    impatient,  # noqa: F401 - a fixture
    objects,
    written,
)
from lab.hostile import Hostile
from lab.mail_probing import context
from loopback import own_address
from postroom.lab.imap import LabImap
from postroom.lab.lab import IMAPS_PORT, SUBMISSIONS_PORT
from postroom.lab.mailboxes import Accounts
from postroom.lab.smtp import LabSmtp
from postroom.mail.round_trip.compose import probe_key

pytestmark = pytest.mark.usefixtures("impatient")

PASSWORD = {"credentialsRef": {"name": "login"}}


def hidden_key(watch: Watch, made: Secrets) -> str:
    """A key of the operator, and what is derived from it, neither of which may show."""
    key = made.core(32)
    watch.hide("ownership key", key)
    watch.hide("key of messages", probe_key(key.encode()).hex())
    watch.hide("octets of the key of messages", probe_key(key.encode()).decode("latin-1"))
    return key


def accounts(made: Secrets, number: int, watch: Watch, name: str) -> dict[str, dict[str, str]]:
    secret = made.password(number)
    watch.hide(name, secret)
    return {"login": {"username": ADDRESS, "password": secret}}


async def evaluated(
    name: str, smtp: Row, imap: Row, watch: Watch, directory: Path, number: int
) -> CanaryWorld:
    """Evaluate an account at two hostile servers that know its password."""
    made = Secrets(number)
    secrets = accounts(made, number, watch, name)
    secret = secrets["login"]["password"]
    async with (
        Hostile(*smtp(secret), context=context(), implicit=True) as sending,
        Hostile(*imap(secret), context=context(), implicit=True) as reading,
    ):
        ports = Ports(sending.port, reading.port)
        file = written(directory / str(number), objects(ports, secrets, PASSWORD))
        world = CanaryWorld(file, ports, watch, hidden_key(watch, made))
        await world.look(name)
    return world


async def hunted(
    smtp: Mapping[str, Row], imap: Mapping[str, Row], directory: Path, seed: int
) -> list[CanaryWorld]:
    """Evaluate accounts at all servers, the shorter list again and again."""
    pairs = list(zip_longest(smtp, imap))
    first, second = next(iter(smtp)), next(iter(imap))
    async with watching() as watch, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                evaluated(
                    f"{one or first} / {other or second}",
                    *(smtp[one or first], imap[other or second], watch, directory, seed + number),
                )
            )
            for number, (one, other) in enumerate(pairs)
        ]
    return [task.result() for task in tasks]


def reasons(worlds: list[CanaryWorld]) -> set[str]:
    return {one["reason"] for world in worlds for one in world.account()["conditions"]}


async def test_what_fails(tmp_path: Path) -> None:
    worlds = await hunted(SMTP, IMAP, tmp_path, 100)
    assert {"AuthenticationRejected", "ConnectionTimeout", "UnexpectedGreeting"} <= reasons(worlds)


async def test_errands(tmp_path: Path) -> None:
    # All of them are probed in `test_canary_probes`.
    smtp = {name: row for name, row in SMTP_ERRANDS.items() if name[:3] in ("550", "421")}
    imap = {name: row for name, row in IMAP_ERRANDS.items() if not name.startswith("TAG BAD")}
    worlds = await hunted(smtp, imap, tmp_path, 200)
    assert {"AuthenticationSucceeded", "IdentityUnverifiable"} <= reasons(worlds)
    assert any("lastTest" in world.account() for world in worlds)


@pytest.mark.parametrize("right", [True, False])
async def test_the_servers_of_the_lab(tmp_path: Path, right: bool) -> None:
    made, address = Secrets(300), own_address(31)
    async with watching() as watch:
        secrets = accounts(made, 1, watch, "password")
        known = Accounts({ADDRESS: secrets["login"]["password"] if right else made.core()})
        ports = Ports(SUBMISSIONS_PORT, IMAPS_PORT, address)
        smtp = LabSmtp(known, context(), address, ports.smtp, implicit=True)
        imap = LabImap(known, context(), address, ports.imap)
        await smtp.start()
        await imap.start()
        file = written(tmp_path, objects(ports, secrets, PASSWORD))
        world = CanaryWorld(file, ports, watch, hidden_key(watch, made))
        await world.look("lab", 6)
        await smtp.stop()
        await imap.stop()
    expected = "AuthenticationSucceeded" if right else "AuthenticationRejected"
    assert expected in reasons([world])
