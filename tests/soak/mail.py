# SPDX-License-Identifier: Apache-2.0
"""The mailboxes of the soak, on the lab's servers, and what happens to them."""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from postroom.lab.lab import IMAPS_PORT, Lab
from postroom.lab.mailboxes import Account, Mailbox

T = TypeVar("T")
#: In every message, in its header and its body; nowhere else.
CANARY = "Kanarienvogel-4f1c"
MAX_SIZE = 1024 * 1024
_FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "")


@dataclass(frozen=True)
class Sent:
    """A message that came: where, as which one of its mailbox, and what it is."""

    account: str
    mailbox: str
    number: int
    message_id: str
    body: str
    oversized: bool
    flags: frozenset[str]


class Mail:
    """Accounts of a lab in a thread of its own; what is named by "happens" happens in its loop."""

    def __init__(self, address: str, state: Path, accounts: int, dice: random.Random) -> None:
        self.lab = Lab(state, address=address)
        self._dice = dice
        self.names = [f"a{number}" for number in range(accounts)]
        self.boxes: dict[tuple[str, str], Mailbox] = {}
        for number, name in enumerate(self.names):
            account = Account(f"{name}@send.example.com", f"password-{name}")
            self.lab.accounts._accounts[account.address] = account
            # Every third account reads two mailboxes.
            for mailbox in ("INBOX", "Junk")[: 2 if number % 3 == 0 else 1]:
                self.boxes[name, mailbox] = account.mailboxes[mailbox]
        self.sent: dict[str, Sent] = {}
        self.expunged: set[str] = set()
        self._numbers: dict[tuple[str, str], int] = defaultdict(int)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.happens(self.lab.__aenter__())

    def stop(self) -> None:
        self.happens(self.lab.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(60)
        self.loop.close()

    def happens(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(60)

    def do(self, what: Callable[[], None]) -> None:
        async def it() -> None:
            what()

        self.happens(it())

    def mailboxes_of(self, account: str) -> list[str]:
        return [mailbox for name, mailbox in self.boxes if name == account]

    def arrive(self, count: int) -> None:
        """Messages come, to any mailboxes."""

        def it() -> None:
            for _ in range(count):
                self._arrive()

        self.do(it)

    def _arrive(self) -> None:
        dice, place = self._dice, self._dice.choice(list(self.boxes))
        self._numbers[place] += 1
        message_id = f"{len(self.sent)}.{place[0]}@example.net"
        draw = dice.random()
        size = 3 * MAX_SIZE // 2 if draw < 0.003 else 700_000 if draw < 0.01 else 0
        size = size or dice.randrange(100, 300_000 if draw < 0.05 else 12_000)
        head = f"Message-ID: <{message_id}>\r\nSubject: {CANARY}\r\n\r\n{CANARY}\r\n"
        content = head.encode() + dice.randbytes(size).replace(b"\r", b".").replace(b"\n", b".")
        flags = frozenset({dice.choice(_FLAGS)} - {""})
        self.boxes[place].deliver(content, flags=flags)
        self.sent[message_id] = Sent(
            *place,
            self._numbers[place],
            message_id,
            hashlib.sha256(content).hexdigest(),
            len(content) > MAX_SIZE,
            flags,
        )

    def expunge(self) -> None:
        """Somebody removes a message for good."""

        def it() -> None:
            box = self.boxes[self._dice.choice(list(self.boxes))]
            if box.messages:
                gone = self._dice.choice(box.messages[-8:])
                self.expunged.add(name_of(gone.content))
                box.expunge([gone])

        self.do(it)

    def make_anew(self) -> None:
        """A mailbox gets another UIDVALIDITY."""
        self.do(lambda: self.boxes[self._dice.choice(list(self.boxes))].make_anew())

    def hang_up(self) -> None:
        """The server ends all sessions, wherever they are."""
        server = next(each for name, _, each in self.lab._servers if name.startswith("IMAP"))
        self.do(server.hang_up)  # type: ignore[union-attr]

    def changed_flags(self) -> list[str]:
        """Messages whose flags are no longer what they were."""
        return [
            name
            for box in self.boxes.values()
            for message in box.messages
            if frozenset(message.flags) != self.sent[name := name_of(message.content)].flags
        ]

    def spec(self, account: str, deliver: dict[str, Any]) -> dict[str, Any]:
        """What is applied of an account."""
        return {
            "address": f"{account}@send.example.com",
            "imap": {
                "host": "imap.mail.example.org",
                "port": IMAPS_PORT,
                "tls": {"caBundleRef": {"name": "lab-ca"}},
                "credentialsRef": {"name": f"login-{account}"},
            },
            "inbound": {"deliver": deliver},
            "sync": {"interval": "1m", "backfillDays": 7},
        }

    def logins(self) -> Iterable[tuple[str, dict[str, str]]]:
        """The Secrets by name."""
        for name in self.names:
            login = {"username": f"{name}@send.example.com", "password": f"password-{name}"}
            yield f"login-{name}", login


def name_of(content: bytes) -> str:
    """The Message-ID of a message."""
    return content.partition(b"<")[2].partition(b">")[0].decode()
