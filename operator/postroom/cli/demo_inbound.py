# SPDX-License-Identifier: Apache-2.0
"""The last act of ``postroom demo``: a mail becomes a ticket, and an answer lands in the same one.

The couriers are those of ``postroom deliver``; the application is examples/tickets, beside us.
"""

import asyncio
import base64
import os
import re
import secrets
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any, cast

import yaml

from postroom.api.names import Key, Kind
from postroom.api.resource import EmailAccount
from postroom.cli import demo_story
from postroom.cli.directory import DirectoryWorld
from postroom.delivery import routes
from postroom.delivery.contract import Mailboxes, Route
from postroom.delivery.courier import Courier
from postroom.delivery.sinks.choice import Sinks
from postroom.delivery.spool import Spool
from postroom.lab.lab import Lab

RECEIVER = Path(__file__).resolve().parents[3] / "examples" / "tickets" / "tickets.py"
ACCOUNT = Key(Kind.EMAIL_ACCOUNT, "mail", "support")
SERVICE, _HOOK = "tickets", "tickets-hook"
_ADDRESS, _ASKED = "support@send.example.com", "The printer is on fire"
_PATIENCE = 20.0


def signing_key(place: Path) -> Path:
    """Make the Secret that signs what the application gets; returns its file."""
    key = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    made = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _HOOK, "namespace": ACCOUNT.namespace},
        "stringData": {"current": key},
    }
    file = place / "tickets-hook.yaml"
    file.write_text(yaml.safe_dump(made))
    (place / "keys").mkdir()
    (place / "keys" / "current").write_text(key)
    return file


@dataclass(frozen=True, slots=True)
class Application:
    """The receiver at work, as the Service that leads to it."""

    port: int
    page: int
    data: Path
    pid: int

    async def service(self, namespace: str, name: str) -> Mapping[str, Any]:
        """See `postroom.delivery.routes.Services`."""
        return {"spec": {"clusterIP": "127.0.0.1", "ports": [{"port": self.port}]}}

    def tickets(self) -> list[tuple[int, str, str, str]]:
        """Of each message: its ticket, its subject, who sent it, and what is attached."""
        asked = (
            "SELECT ticket, subject, sender, coalesce((SELECT group_concat(name || ' (' || "
            "length(content) || ' octets)') FROM attachment WHERE message = message.id), '') "
            "FROM message ORDER BY id"
        )
        with closing(sqlite3.connect(self.data)) as opened:
            return opened.execute(asked).fetchall()


@asynccontextmanager
async def running_receiver(place: Path, address: str = "127.0.0.1") -> AsyncIterator[Application]:
    """Run the receiver of the examples at an address of loopback, with the key of `signing_key` and
    a database in `place`."""
    data = place / "tickets.sqlite"
    given = {"KEYS": str(place / "keys"), "DATA": str(data), "HOOK": f"{address}:0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(RECEIVER)),
        env={**os.environ, **given, "PAGE": "localhost:0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        told = b""
        while process.stdout is not None and (line := await process.stdout.readline()):
            told += line
            if line.startswith(b"Hook"):
                break
        page, port = (int(found) for found in re.findall(rb":(\d+)/\n", told) or (0, 0))
        if not port:
            raise demo_story.DemoFailed("examples/tickets does not start.")
        yield Application(port, page, data, process.pid)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def carrying(world: DirectoryWorld, application: Application) -> AsyncIterator[Courier]:
    """Carry the account's mail to the application, as ``postroom deliver`` does."""
    account = cast("EmailAccount", await world.get(*ACCOUNT))
    # The receiver is on loopback, as all of the lab.
    found = await routes.find(account, world, application, lambda *_: None)
    if not isinstance(found, routes.Found):
        raise demo_story.DemoFailed(found.message)
    sinks = Sinks(world.now)
    route = Route(
        account.metadata.uid,
        ACCOUNT.namespace,
        ACCOUNT.name,
        found.plan,
        found.attempt.endpoint,
        routes.signing_in(found.attempt, world),
        sinks.sink(found.destination, found.keys, found.written_as),
    )
    mailboxes = cast("Mailboxes", world.outbound.mail)
    courier = Courier(route, mailboxes, Spool(2**26), world.now, lambda progress: None)
    task = asyncio.create_task(courier.run())
    try:
        yield courier
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sinks.close()


async def tell(narrator: demo_story.Narrator, lab: Lab, world: DirectoryWorld, place: Path) -> None:
    """Tell the act on a lab that runs; raises `DemoFailed`."""
    async with running_receiver(place) as application:
        narrator.chapter("Verified again. Now an application is to get what arrives:")
        deliver = asked_of(narrator, application)
        world.raw(ACCOUNT)["spec"]["inbound"] = {"deliver": deliver}
        async with carrying(world, application) as courier:
            await _until(lambda: courier.progress.cursors, "the mailbox is read")
            await two_mails_arrive(narrator, lab, application)
            await _until(
                lambda: courier.progress.delivered == 2 and not courier.progress.waiting,
                "postroom knows that all was taken",
            )
            uid = courier.progress.cursors["INBOX"].uid
        narrator.line(
            "  The mailbox is as it was, nothing in it is marked as read. All that is kept is "
            f"how far it was read: UID {uid}."
        )


def asked_of(narrator: demo_story.Narrator, application: Application) -> dict[str, Any]:
    """What is put into spec.inbound.deliver, shown."""
    deliver = {
        "service": {"name": SERVICE, "port": application.port, "path": "/mail"},
        "signingKeyRef": {"name": _HOOK},
    }
    narrator.line(f"  spec.inbound.deliver of EmailAccount {ACCOUNT.name}:")
    shown = yaml.safe_dump(deliver, sort_keys=False, default_flow_style=None)
    narrator.line("\n".join(f"    {line}" for line in shown.splitlines()))
    return deliver


async def two_mails_arrive(
    narrator: demo_story.Narrator, lab: Lab, application: Application
) -> None:
    """A mail becomes a ticket, and the answer to it lands there; raises `DemoFailed`."""
    narrator.chapter(f"Ann writes to {_ADDRESS}, with a picture:")
    asked = written("ann@example.net", _ASKED, "asked@example.net")
    picture = secrets.token_bytes(20_000)
    asked.add_attachment(picture, "image", "jpeg", filename="printer.jpg")
    await _arrives(narrator, lab, application, asked)
    narrator.chapter("Ben answers her. It lands in the same ticket:")
    answer = written("ben@example.net", f"Re: {_ASKED}", "answer@example.net")
    answer["In-Reply-To"] = answer["References"] = asked["Message-ID"]
    await _arrives(narrator, lab, application, answer)
    if len({ticket for ticket, *_ in application.tickets()}) != 1:
        raise demo_story.DemoFailed("the answer is a ticket of its own.")


async def _until(look: Callable[[], object], what: str) -> None:
    """Look until there is something; raises `DemoFailed` after a while."""
    deadline = time.monotonic() + _PATIENCE
    while not look():
        if time.monotonic() > deadline:
            raise demo_story.DemoFailed(f"it did not happen in time that {what}.")
        await asyncio.sleep(0.01)


def written(sender: str, subject: str, own_id: str) -> EmailMessage:
    """A message to the account."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = sender, _ADDRESS, subject
    message["Message-ID"] = f"<{own_id}>"
    message.set_content("Please come quickly.\n")
    return message


async def _arrives(
    narrator: demo_story.Narrator, lab: Lab, application: Application, message: EmailMessage
) -> None:
    """Put a message into the mailbox, and wait until the application has it."""
    before, begun = len(application.tickets()), time.monotonic()
    lab.accounts.deliver(_ADDRESS, message.as_bytes())
    await _until(lambda: len(application.tickets()) > before, "the mail becomes a ticket")
    took = (time.monotonic() - begun) * 1000
    number, subject, sender, attached = application.tickets()[-1]
    narrator.line(f"  ticket {number}: {subject}, from {sender} ({took:.0f} ms)")
    if attached:
        narrator.line(f"            with {attached}")
