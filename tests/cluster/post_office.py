# SPDX-License-Identifier: Apache-2.0
"""The mail lab in a thread of the test's own, which sees each message at the moment at which the
server takes it over, and what is applied for it: a server, accounts, their Secrets."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from postroom.api.names import API_VERSION
from postroom.lab.lab import IMAPS_PORT, PASSWORDS, SUBMISSION_PORT, Lab, Reach

SUPPORT, BILLING = "support@send.example.com", "billing@send.example.com"
#: What lies in the INBOX of each account in the beginning.
AT_FIRST = 3


class Mailboxes(Protocol):
    """A lab at which mail arrives, whichever process it is in."""

    @property
    def reach(self) -> Reach: ...

    @property
    def ca_pem(self) -> str: ...

    def arrive(self, recipient: str, content: bytes) -> None: ...


class PostOffice:
    """A running lab; `taken_over` is called with each recipient before the server says yes, and
    messages to a key of `redirects` go to its value, too, as they are."""

    def __init__(self, address: str, state: Path) -> None:
        self.lab = Lab(state, address=address)
        self.delivered: list[str] = []
        self.redirects: dict[str, str] = {}
        self.taken_over: Callable[[str], None] = lambda recipient: None
        self._put = self.lab.accounts.deliver
        self.lab.accounts.deliver = self._deliver  # type: ignore[method-assign]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    @property
    def reach(self) -> Reach:
        return self.lab.reach

    @property
    def ca_pem(self) -> str:
        return self.lab.ca_pem

    def open_account(self, name: str) -> tuple[str, str]:
        """Address and password of an account of that name."""
        address = f"{name}@send.example.com"
        self.lab.accounts.open(address, name)
        return address, name

    def publish(self, label: str, text: str) -> None:
        """Put a text into the zone of example.com."""
        self.lab.zones.add(f"{label}.example.com", "TXT", text)

    def taken_for(self, address: str) -> int:
        """Messages of ours that came for an address."""
        return self.delivered.count(address)

    def _deliver(self, address: str, content: bytes) -> bool:
        self.delivered.append(address)
        known = self._put(address, content)
        if address in self.redirects:
            self._put(self.redirects[address], content)
        self.taken_over(address)
        return known

    def arrive(self, recipient: str, content: bytes) -> None:
        """Have a message come from elsewhere."""

        async def put() -> bool:
            return self._put(recipient, content)

        assert asyncio.run_coroutine_threadsafe(put(), self._loop).result(60)

    def call(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have the lab do something, and wait for it."""

        async def done() -> None:
            await work()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(60)

    def hold(self, seconds: float) -> None:
        """Have the lab stand still, as after SIGSTOP: it takes connections, and says nothing."""
        self._loop.call_soon_threadsafe(time.sleep, seconds)

    def inbox(self, address: str) -> int:
        """Messages in an INBOX."""
        account = self.lab.accounts.authenticate(address, PASSWORDS[address])
        assert account is not None
        return len(account.mailboxes["INBOX"].messages)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.lab.__aenter__(), self._loop).result(60)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stopped = self.lab.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(stopped, self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def manifests(self, **accounts: dict[str, Any]) -> str:
        """What is applied for it, and for these accounts by name."""
        return manifests(self.ca_pem, **accounts)


def account(address: str, *, reads: bool = True, **spec: Any) -> dict[str, Any]:
    """The spec of an account of the lab; `reads`: with its mailbox."""
    imap = {
        "host": "imap.mail.example.org",
        "port": IMAPS_PORT,
        "tls": {"caBundleRef": {"name": "lab-ca"}},
    }
    login = {"credentialsRef": {"name": address.partition("@")[0]}}
    return {"address": address, **login, **({"imap": imap} if reads else {}), **spec}


def manifests(ca_pem: str, **accounts: dict[str, Any]) -> str:
    """A List of a lab's authority, Secrets, a MailServer, and these accounts by name."""
    secrets = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": address.partition("@")[0]},
            "stringData": {"username": address, "password": password},
        }
        for address, password in PASSWORDS.items()
    ]
    authority = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "lab-ca"},
        "data": {"ca.crt": ca_pem},
    }
    specs = {("EmailAccount", name): spec for name, spec in accounts.items()}
    specs["MailServer", "smtp"] = {
        "host": "smtp.mail.example.org",
        "port": SUBMISSION_PORT,
        "tls": {"caBundleRef": {"name": "lab-ca"}},
        "credentialsRef": {"name": "relay"},
        "default": True,
    }
    ours = [
        {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        for (kind, name), spec in specs.items()
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [authority, *secrets, *ours]})
