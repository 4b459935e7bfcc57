# SPDX-License-Identifier: Apache-2.0
"""The lab's accounts and their mail, shared by its SMTP and IMAP servers; nothing outlives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime


@dataclass
class Message:
    """A message in a mailbox."""

    uid: int
    content: bytes
    received: datetime
    flags: set[str] = field(default_factory=set)


@dataclass
class Mailbox:
    """Messages in the order of their UIDs."""

    uid_validity: int = 1
    uid_next: int = 1
    messages: list[Message] = field(default_factory=list)

    def deliver(self, content: bytes) -> Message:
        """Append a message."""
        message = Message(self.uid_next, content, datetime.now(UTC))
        self.uid_next += 1
        self.messages.append(message)
        return message


@dataclass
class Account:
    """A user with a password and mailboxes."""

    address: str
    password: str
    mailboxes: dict[str, Mailbox] = field(
        default_factory=lambda: {name: Mailbox() for name in ("INBOX", "Junk", "Sent")}
    )


class Accounts:
    """All accounts by address."""

    def __init__(self, passwords: dict[str, str]) -> None:
        self._accounts = {
            address.lower(): Account(address, password) for address, password in passwords.items()
        }
        for account in self._accounts.values():
            for number in (1, 2, 3):
                account.mailboxes["INBOX"].deliver(_welcome(account.address, number))

    def authenticate(self, address: str, password: str) -> Account | None:
        """Return the account if the password is right."""
        account = self._accounts.get(address.lower())
        return account if account and account.password == password else None

    def deliver(self, address: str, content: bytes) -> bool:
        """Put a message into an account's INBOX; False where there is no such account."""
        account = self._accounts.get(address.lower())
        if account is not None:
            account.mailboxes["INBOX"].deliver(content)
        return account is not None


def _welcome(address: str, number: int) -> bytes:
    lines = (
        "From: Postroom lab <lab@example.org>",
        f"To: <{address}>",
        f"Subject: Message {number} of the lab",
        f"Date: {format_datetime(datetime.now(UTC))}",
        "",
        "Nothing here leaves this machine.",
        "",
    )
    return "\r\n".join(lines).encode()
