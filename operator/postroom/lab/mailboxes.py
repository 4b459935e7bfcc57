# SPDX-License-Identifier: Apache-2.0
"""The lab's accounts and their mail, shared by its SMTP and IMAP servers; nothing outlives it."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

#: Octets that an account may store.
QUOTA = 64 * 1024 * 1024
#: Mailboxes of a special use (RFC 6154), by name.
SPECIAL_USES = {"Junk": "\\Junk", "Sent": "\\Sent", "Trash": "\\Trash"}
_SECTION = re.compile(
    r"BODY(?:\.PEEK)?\[(?P<name>[A-Z.]*)(?: \((?P<fields>[^()]*)\) ?)?\]"
    r"(?:<(?P<first>\d+)\.(?P<count>\d+)>)?"
)


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
        kept = [
            line for line in unfolded if line.partition(b":")[0].decode("latin-1").lower() in wanted
        ]
        return b"".join(line + b"\r\n" for line in kept) + b"\r\n"

    def section(self, items: str) -> tuple[str, bytes]:
        """What FETCH asks for: its name after ``BODY[``, and its content (RFC 3501 section 6.4.5).

        `items` are in capitals. Raises `ValueError` for a section that there is not.
        """
        asked = _SECTION.search(items)
        name = asked["name"] if asked else ""
        match name:
            case "":
                content = self.content
            case "HEADER":
                content = self.header
            case "TEXT":
                content = self.content.removeprefix(self.header)
            case "HEADER.FIELDS" if asked and asked["fields"]:
                content = self.fields(asked["fields"].split())
                name = f"{name} ({asked['fields'].strip()})"
            case _:
                raise ValueError("no such section")
        if asked is None or asked["first"] is None:
            return f"{name}]", content
        first = int(asked["first"])
        return f"{name}]<{first}>", content[first : first + int(asked["count"])]


@dataclass
class Numbered:
    """Messages in the order of their UIDs, numbered from one."""

    messages: list[Message] = field(default_factory=list)

    def chosen(self, numbers: str, *, by_uid: bool) -> list[tuple[int, Message]]:
        """The messages of a sequence set, with their sequence numbers.

        Raises `ValueError` for what is no such set.
        """
        last = len(self.messages)
        if by_uid and last:
            last = self.messages[-1].uid
        wanted = set[int]()
        for part in numbers.split(","):
            low, _, high = part.partition(":")
            first, end = sorted(last if end == "*" else int(end) for end in (low, high or low))
            if by_uid:
                first = bisect_left(self.messages, first, key=_uid) + 1
                end = bisect_right(self.messages, end, key=_uid)
            wanted.update(range(max(first, 1), min(end, len(self.messages)) + 1))
        return [(index, self.messages[index - 1]) for index in sorted(wanted)]

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


def _uid(message: Message) -> int:
    return message.uid


@dataclass
class Mailbox(Numbered):
    """A mailbox; whoever watches it is called when something has changed in it.

    `uid_validity` is 0 once it is deleted.
    """

    uid_validity: int = 1
    uid_next: int = 1
    watchers: set[Callable[[], None]] = field(default_factory=set, repr=False)

    def deliver(
        self, content: bytes, received: datetime | None = None, flags: Iterable[str] = ()
    ) -> Message:
        """Append a message."""
        message = Message(self.uid_next, content, received or datetime.now(UTC), set(flags))
        self.uid_next += 1
        self.messages.append(message)
        self.tell()
        return message

    def holds(self, message: Message) -> bool:
        """Whether a message is still there."""
        at = bisect_left(self.messages, message.uid, key=_uid)
        return at < len(self.messages) and self.messages[at] is message

    def expunge(self, messages: Iterable[Message]) -> None:
        """Remove messages for good."""
        gone = set(map(id, messages))
        self.messages = [message for message in self.messages if id(message) not in gone]
        self.tell()

    def make_anew(self) -> None:
        """Number the messages from one, under another UIDVALIDITY (RFC 3501 section 2.3.1.1)."""
        self.uid_validity += 1
        for number, message in enumerate(self.messages, 1):
            message.uid = number
        self.uid_next = len(self.messages) + 1
        self.tell()

    def tell(self) -> None:
        """Call whoever watches."""
        for watcher in tuple(self.watchers):
            watcher()

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


@dataclass
class Account:
    """A user with a password and mailboxes."""

    address: str
    password: str
    mailboxes: dict[str, Mailbox] = field(
        default_factory=lambda: {name: Mailbox() for name in ("INBOX", *SPECIAL_USES)}
    )
    _validity: int = 1000

    def mailbox(self, name: str) -> Mailbox | None:
        """The mailbox of a name; INBOX in any case (RFC 3501 section 5.1)."""
        return self.mailboxes.get("INBOX" if name.upper() == "INBOX" else name)

    def create(self, name: str) -> Mailbox:
        """Make a mailbox, with a UIDVALIDITY that none had before; raises `ValueError`.

        Names are as on the wire, in modified UTF-7 (RFC 3501 section 5.1.3).
        """
        if not name or self.mailbox(name) is not None:
            raise ValueError("no name, or a mailbox of this name")
        self._validity += 1
        made = self.mailboxes[name] = Mailbox(uid_validity=self._validity)
        return made

    def delete(self, name: str) -> None:
        """Remove a mailbox with all its messages; raises `KeyError`."""
        gone = self.mailboxes.pop(name)
        gone.uid_validity = 0
        gone.tell()

    def rename(self, name: str, new: str) -> None:
        """Give a mailbox another name; raises `KeyError`, and `ValueError` where it is taken."""
        if self.mailbox(new) is not None:
            raise ValueError("a mailbox of this name")
        self.mailboxes[new] = self.mailboxes.pop(name)


class Accounts:
    """All accounts by address."""

    def __init__(self, passwords: dict[str, str]) -> None:
        self._accounts = dict[str, Account]()
        for address, password in passwords.items():
            self.open(address, password)

    def open(self, address: str, password: str) -> None:
        """Open an account, which begins with three messages."""
        account = self._accounts[address.lower()] = Account(address, password)
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
