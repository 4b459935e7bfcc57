# SPDX-License-Identifier: Apache-2.0
"""The lab's accounts and their mail, shared by its SMTP and IMAP servers; nothing outlives it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

#: Octets that an account may store.
QUOTA = 64 * 1024 * 1024
#: Mailboxes of a special use (RFC 6154), by name.
SPECIAL_USES = {"Junk": "\\Junk", "Sent": "\\Sent", "Trash": "\\Trash"}
_FIELDS = re.compile(r"BODY(?:\.PEEK)?\[HEADER\.FIELDS \(([^()]*)\) ?\](?:<(\d+)\.(\d+)>)?")


@dataclass
class Message:
    """A message in a mailbox."""

    uid: int
    content: bytes
    received: datetime
    flags: set[str] = field(default_factory=set)

    @property
    def header(self) -> bytes:
        """All header fields, with the empty line after them."""
        header, separator, _ = self.content.partition(b"\r\n\r\n")
        return header + separator

    def fields(self, names: Iterable[str]) -> bytes:
        """The header fields of these names, folded as they are, with the empty line after them."""
        wanted = {name.lower() for name in names}
        unfolded = re.split(rb"\r\n(?![ \t])", self.header.removesuffix(b"\r\n\r\n"))
        kept = [line for line in unfolded if line.partition(b":")[0].decode().lower() in wanted]
        return b"".join(line + b"\r\n" for line in kept) + b"\r\n"

    def section(self, items: str) -> tuple[str, bytes]:
        """What FETCH asks for: its name after ``BODY[``, and its content (RFC 3501 section 6.4.5).

        `items` are in capitals.
        """
        fields = _FIELDS.search(items)
        if fields is None:
            return ("HEADER]", self.header) if "HEADER" in items else ("]", self.content)
        content = self.fields(fields[1].split())
        name = f"HEADER.FIELDS ({fields[1].strip()})]"
        if fields[2] is None:
            return name, content
        first = int(fields[2])
        return f"{name}<{first}>", content[first : first + int(fields[3])]


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

    @property
    def size(self) -> int:
        """Octets of all messages."""
        return sum(len(message.content) for message in self.messages)

    def facts(self) -> dict[str, int]:
        """What STATUS can tell of it (RFC 3501 section 6.3.10, RFC 8438)."""
        return {
            "MESSAGES": len(self.messages),
            "UNSEEN": sum("\\Seen" not in message.flags for message in self.messages),
            "UIDNEXT": self.uid_next,
            "UIDVALIDITY": self.uid_validity,
            "RECENT": 0,
            "SIZE": self.size,
        }

    def chosen(self, numbers: str, *, by_uid: bool) -> list[tuple[int, Message]]:
        """The messages of a sequence set, with their sequence numbers.

        Raises `ValueError` for what is no such set.
        """
        numbered = list(enumerate(self.messages, 1))
        last = max((message.uid if by_uid else index for index, message in numbered), default=0)
        wanted: list[tuple[int, int]] = []
        for part in numbers.split(","):
            low, _, high = part.partition(":")
            ends = sorted(last if end == "*" else int(end) for end in (low, high or low))
            wanted.append((ends[0], ends[1]))
        return [
            (index, message)
            for index, message in numbered
            if any(low <= (message.uid if by_uid else index) <= high for low, high in wanted)
        ]

    def found(self, criteria: list[str]) -> list[tuple[int, Message]]:
        """The messages that fit all criteria: sequence sets, ALL, UID, SINCE and DELETED.

        Raises `ValueError` for others.
        """
        left = list(enumerate(self.messages, 1))
        rest = iter(criteria)
        for key in rest:
            match key.upper():
                case "ALL":
                    continue
                case "DELETED":
                    left = [numbered for numbered in left if "\\Deleted" in numbered[1].flags]
                case "SINCE":
                    asked = datetime.strptime(next(rest, ""), "%d-%b-%Y")
                    day = asked.replace(tzinfo=UTC).date()
                    left = [numbered for numbered in left if numbered[1].received.date() >= day]
                case "UID":
                    within = {index for index, _ in self.chosen(next(rest, ""), by_uid=True)}
                    left = [numbered for numbered in left if numbered[0] in within]
                case _:
                    within = {index for index, _ in self.chosen(key, by_uid=False)}
                    left = [numbered for numbered in left if numbered[0] in within]
        return left


@dataclass
class Account:
    """A user with a password and mailboxes."""

    address: str
    password: str
    mailboxes: dict[str, Mailbox] = field(
        default_factory=lambda: {name: Mailbox() for name in ("INBOX", *SPECIAL_USES)}
    )

    def mailbox(self, name: str) -> Mailbox | None:
        """The mailbox of a name; INBOX in any case (RFC 3501 section 5.1)."""
        return self.mailboxes.get("INBOX" if name.upper() == "INBOX" else name)


class Accounts:
    """All accounts by address."""

    def __init__(self, passwords: dict[str, str]) -> None:
        self._accounts = {
            address.lower(): Account(address, password) for address, password in passwords.items()
        }
        for account in self._accounts.values():
            for number in (1, 2, 3):
                lines = (
                    "From: Postroom lab <lab@example.org>",
                    f"To: <{account.address}>",
                    f"Subject: Message {number} of the lab",
                    f"Date: {format_datetime(datetime.now(UTC))}",
                    "",
                    "Nothing here leaves this machine.",
                    "",
                )
                account.mailboxes["INBOX"].deliver("\r\n".join(lines).encode())

    def authenticate(self, address: str, password: str) -> Account | None:
        """Return the account if the password is right."""
        account = self._accounts.get(address.lower())
        return account if account and account.password == password else None

    def knows(self, address: str) -> bool:
        """Whether there is an account with this address."""
        return address.lower() in self._accounts

    def deliver(self, address: str, content: bytes) -> bool:
        """Put a message into an account's INBOX; False where there is no such account."""
        account = self._accounts.get(address.lower())
        if account is not None:
            account.mailboxes["INBOX"].deliver(content)
        return account is not None
