# SPDX-License-Identifier: Apache-2.0
"""The lab's IMAP4rev1 server (RFC 3501) with TLS from the first byte: enough to read mail."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import ssl
from collections.abc import Callable

from postroom.lab.mailboxes import QUOTA, SPECIAL_USES, Account, Accounts, Mailbox, Message

_LINE_LIMIT = 64 * 1024
_CAPABILITIES = (
    "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ ID UIDPLUS MOVE NAMESPACE SPECIAL-USE QUOTA STATUS=SIZE"
)
_FIELDS = re.compile(r"BODY(?:\.PEEK)?\[HEADER\.FIELDS \(([^()]*)\) ?\](?:<(\d+)\.(\d+)>)?")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\([^()]*\))|([^\s"()]+)')


class LabImap:
    """The server. `start` raises `OSError` where the port is taken."""

    def __init__(
        self, accounts: Accounts, context: ssl.SSLContext, address: str, port: int
    ) -> None:
        self._accounts, self._context = accounts, context
        self._address, self._port = address, port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(
            self._converse, self._address, self._port, ssl=self._context, limit=_LINE_LIMIT
        )

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Session(self._accounts, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError, ssl.SSLError):
            pass
        finally:
            writer.close()


class _Session:
    """One connection, one state: not authenticated, authenticated, or selected."""

    def __init__(
        self, accounts: Accounts, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._accounts, self._reader, self._writer = accounts, reader, writer
        self._account: Account | None = None
        self._mailbox: Mailbox | None = None
        self._read_only = True
        self._open = True

    async def run(self) -> None:
        self._send(f"* OK [CAPABILITY {_CAPABILITIES}] postroom lab ready")
        while self._open:
            line = await self._read_command()
            if not line:
                return
            await self._execute(line)
            await self._writer.drain()

    async def _read_command(self) -> str:
        """Read a line; literals become quoted strings."""
        text = ""
        while True:
            raw = await self._reader.readline()
            if not raw.endswith(b"\n"):
                return ""
            line = raw.rstrip(b"\r\n").decode("utf-8", "replace")
            literal = re.search(r"\{(\d{1,6})(\+?)\}$", line)
            if literal is None:
                return text + line
            if not literal[2]:
                self._send("+ go on")
                await self._writer.drain()
            content = (await self._reader.readexactly(int(literal[1]))).decode("utf-8", "replace")
            escaped = content.replace("\\", "\\\\").replace('"', '\\"')
            text += f'{line[: literal.start()]}"{escaped}"'

    async def _execute(self, line: str) -> None:
        tag, _, rest = line.partition(" ")
        name, _, rest = rest.partition(" ")
        name = name.upper()
        by_uid = name == "UID"
        if by_uid:
            name, _, rest = rest.partition(" ")
            name = name.upper()
        words = [
            re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2] or found[3]
            for found in _WORD.finditer(rest)
        ]
        if name == "AUTHENTICATE":
            await self._authenticate(tag, words)
            return
        handler = self._handlers(by_uid).get(name)
        try:
            result = handler(words) if handler else "BAD unknown command"
        except (ValueError, IndexError):
            result = "BAD arguments"
        self._send(f"{tag} {result}")

    def _handlers(self, by_uid: bool) -> dict[str, Callable[[list[str]], str]]:
        known: dict[str, Callable[[list[str]], str]] = {
            "CAPABILITY": self._capability,
            "NOOP": lambda _: "OK done",
            "ID": self._id,
            "LOGOUT": self._logout,
        }
        if self._account is None:
            return known | {"LOGIN": self._login}
        known |= {
            "LIST": self._list,
            "NAMESPACE": self._namespace,
            "STATUS": self._status,
            "GETQUOTAROOT": self._quota,
            "SELECT": lambda words: self._select(words, read_only=False),
            "EXAMINE": lambda words: self._select(words, read_only=True),
        }
        if self._mailbox is not None:
            known |= {
                "FETCH": lambda words: self._fetch(words, by_uid),
                "SEARCH": lambda words: self._search(words, by_uid),
                "STORE": lambda words: self._store(words, by_uid),
                "EXPUNGE": lambda words: self._expunge(words, by_uid),
                "MOVE": lambda words: self._move(words, by_uid),
                "CLOSE": lambda _: self._close(),
            }
        return known

    def _send(self, line: str) -> None:
        self._writer.write(line.encode() + b"\r\n")

    def _capability(self, _: list[str]) -> str:
        self._send(f"* CAPABILITY {_CAPABILITIES}")
        return "OK done"

    def _id(self, _: list[str]) -> str:
        self._send('* ID ("name" "postroom lab")')
        return "OK done"

    def _logout(self, _: list[str]) -> str:
        self._open = False
        self._send("* BYE see you")
        return "OK done"

    def _login(self, words: list[str]) -> str:
        if len(words) != 2:
            return "BAD LOGIN takes a user and a password"
        self._account = self._accounts.authenticate(words[0], words[1])
        return "OK welcome" if self._account else "NO [AUTHENTICATIONFAILED] wrong credentials"

    async def _authenticate(self, tag: str, words: list[str]) -> None:
        if not words or words[0].upper() != "PLAIN":
            self._send(f"{tag} NO [CANNOT] only PLAIN")
            return
        encoded = words[1] if len(words) > 1 else ""
        if not encoded:
            self._send("+ ")
            await self._writer.drain()
            encoded = (await self._reader.readline()).decode("ascii", "replace").strip()
        try:
            _, user, password = base64.b64decode(encoded, validate=True).decode().split("\0")
        except (binascii.Error, ValueError):
            self._send(f"{tag} BAD that is no PLAIN response")
            return
        self._send(f"{tag} {self._login([user, password])}")

    def _list(self, _: list[str]) -> str:
        assert self._account is not None  # noqa: S101 - only offered then
        for name in self._account.mailboxes:
            self._send(f'* LIST ({SPECIAL_USES.get(name, "")}) "/" "{name}"')
        return "OK done"

    def _namespace(self, _: list[str]) -> str:
        self._send('* NAMESPACE (("" "/")) NIL NIL')
        return "OK done"

    def _find(self, words: list[str]) -> Mailbox | None:
        assert self._account is not None  # noqa: S101 - only offered then
        name = words[0] if words else ""
        return self._account.mailboxes.get("INBOX" if name.upper() == "INBOX" else name)

    def _status(self, words: list[str]) -> str:
        mailbox = self._find(words)
        if mailbox is None:
            return "NO [NONEXISTENT] no such mailbox"
        facts = {
            "MESSAGES": len(mailbox.messages),
            "UNSEEN": sum("\\Seen" not in message.flags for message in mailbox.messages),
            "UIDNEXT": mailbox.uid_next,
            "UIDVALIDITY": mailbox.uid_validity,
            "RECENT": 0,
            "SIZE": mailbox.size,
        }
        asked = [item for item in words[1].strip("()").upper().split() if item in facts]
        shown = " ".join(f"{item} {facts[item]}" for item in asked)
        self._send(f'* STATUS "{words[0]}" ({shown})')
        return "OK done"

    def _select(self, words: list[str], *, read_only: bool) -> str:
        self._mailbox = self._find(words)
        if self._mailbox is None:
            return "NO [NONEXISTENT] no such mailbox"
        self._read_only = read_only
        self._send("* FLAGS (\\Seen \\Deleted \\Answered \\Flagged \\Draft)")
        self._send(f"* {len(self._mailbox.messages)} EXISTS")
        self._send("* 0 RECENT")
        self._send(f"* OK [UIDVALIDITY {self._mailbox.uid_validity}] valid")
        self._send(f"* OK [UIDNEXT {self._mailbox.uid_next}] next")
        return "OK [READ-ONLY] done" if read_only else "OK [READ-WRITE] done"

    def _close(self) -> str:
        self._mailbox = None
        return "OK done"

    def _quota(self, words: list[str]) -> str:
        assert self._account is not None  # noqa: S101 - only offered then
        if self._find(words) is None:
            return "NO [NONEXISTENT] no such mailbox"
        used = sum(mailbox.size for mailbox in self._account.mailboxes.values()) // 1024
        self._send(f'* QUOTAROOT "{words[0]}" "user"')
        self._send(f'* QUOTA "user" (STORAGE {used} {QUOTA // 1024})')
        return "OK done"

    def _chosen(self, numbers: str, by_uid: bool) -> list[tuple[int, Message]]:
        assert self._mailbox is not None  # noqa: S101 - only offered then
        return self._mailbox.chosen(numbers, by_uid=by_uid)

    def _fetch(self, words: list[str], by_uid: bool) -> str:
        items = " ".join(words[1:]).upper()
        for index, message in self._chosen(words[0], by_uid):
            facts = [f"UID {message.uid}"]
            if "FLAGS" in items:
                facts.append(f"FLAGS ({' '.join(sorted(message.flags))})")
            if "INTERNALDATE" in items:
                facts.append(f'INTERNALDATE "{message.received:%d-%b-%Y %H:%M:%S +0000}"')
            if "RFC822.SIZE" in items:
                facts.append(f"RFC822.SIZE {len(message.content)}")
            self._writer.write(f"* {index} FETCH ({' '.join(facts)}".encode())
            if "BODY" in items:
                part, content = _section(items, message)
                self._writer.write(f" BODY[{part} {{{len(content)}}}\r\n".encode() + content)
            self._writer.write(b")\r\n")
        return "OK done"

    def _search(self, words: list[str], by_uid: bool) -> str:
        assert self._mailbox is not None  # noqa: S101 - only offered then
        found = [message.uid if by_uid else index for index, message in self._mailbox.found(words)]
        self._send(f"* SEARCH {' '.join(map(str, found))}".rstrip())
        return "OK done"

    def _store(self, words: list[str], by_uid: bool) -> str:
        if self._read_only:
            return "NO [READ-ONLY] the mailbox was examined"
        flags = set(" ".join(words[2:]).strip("()").split())
        for index, message in self._chosen(words[0], by_uid):
            if words[1].startswith("-"):
                message.flags -= flags
            else:
                message.flags |= flags
            if "SILENT" not in words[1].upper():
                self._send(f"* {index} FETCH (FLAGS ({' '.join(sorted(message.flags))}))")
        return "OK done"

    def _expunge(self, words: list[str], by_uid: bool) -> str:
        assert self._mailbox is not None  # noqa: S101 - only offered then
        if self._read_only:
            return "NO [READ-ONLY] the mailbox was examined"
        chosen = self._chosen(words[0] if by_uid and words else "1:*", by_uid)
        for index, message in reversed(chosen):
            if "\\Deleted" in message.flags:
                self._mailbox.messages.remove(message)
                self._send(f"* {index} EXPUNGE")
        return "OK done"

    def _move(self, words: list[str], by_uid: bool) -> str:
        assert self._mailbox is not None  # noqa: S101 - only offered then
        target = self._find(words[1:])
        if self._read_only or target is None:
            return "NO [TRYCREATE] no such mailbox, or the mailbox was examined"
        for index, message in reversed(self._chosen(words[0], by_uid)):
            target.deliver(message.content)
            self._mailbox.messages.remove(message)
            self._send(f"* {index} EXPUNGE")
        return "OK done"


def _section(items: str, message: Message) -> tuple[str, bytes]:
    """What FETCH asks for of a message: its name after ``BODY[``, and its content."""
    fields = _FIELDS.search(items)
    if fields is None:
        header = "HEADER" in items
        return ("HEADER]", message.header) if header else ("]", message.content)
    content = message.fields(fields[1].split())
    name = f"HEADER.FIELDS ({fields[1].strip()})]"
    if fields[2] is None:
        return name, content
    first = int(fields[2])
    return f"{name}<{first}>", content[first : first + int(fields[3])]
