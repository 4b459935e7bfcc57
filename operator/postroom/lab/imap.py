# SPDX-License-Identifier: Apache-2.0
"""The lab's IMAP4rev1 server (RFC 3501) with TLS from the first byte: enough to read mail."""

import asyncio
import base64
import binascii
import re
import ssl

from postroom.lab.mailboxes import QUOTA, SPECIAL_USES, Account, Accounts, Mailbox, Message

_LINE_LIMIT = 64 * 1024
_CAPABILITIES = (
    "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ ID UIDPLUS MOVE NAMESPACE SPECIAL-USE QUOTA STATUS=SIZE"
)
#: What is carried out after a sign-in, and what with a selected mailbox.
_ON_MAILBOXES = ("LIST", "NAMESPACE", "STATUS", "GETQUOTAROOT", "SELECT", "EXAMINE")
_ON_MESSAGES = ("FETCH", "SEARCH", "STORE", "EXPUNGE", "MOVE", "CLOSE")
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
            else:
                self._send(f"{tag} {self._execute(name, words, by_uid)}")
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

    def _execute(self, name: str, words: list[str], by_uid: bool) -> str:
        """Carry out a command, as far as the state allows it; return the tagged answer."""
        try:
            if self._mailbox is not None and name in _ON_MESSAGES:
                return self._on_messages(self._mailbox, name, words, by_uid)
            if self._account is not None and name in _ON_MAILBOXES:
                return self._on_mailboxes(self._account, name, words)
        except (ValueError, IndexError):
            return "BAD arguments"
        match name:
            case "NOOP":
                pass
            case "CAPABILITY":
                self._send(f"* CAPABILITY {_CAPABILITIES}")
            case "ID":
                self._send('* ID ("name" "postroom lab")')
            case "LOGOUT":
                self._open = False
                self._send("* BYE see you")
            case "LOGIN" if self._account is None:
                return self._login(words)
            case _:
                return "BAD unknown command"
        return "OK done"

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

    def _on_mailboxes(self, account: Account, name: str, words: list[str]) -> str:
        """Carry out a command of who signed in (section 6.3; RFC 2342 and 9208)."""
        if name == "NAMESPACE":
            self._send('* NAMESPACE (("" "/")) NIL NIL')
            return "OK done"
        if name == "LIST":
            for listed in account.mailboxes:
                self._send(f'* LIST ({SPECIAL_USES.get(listed, "")}) "/" "{listed}"')
            return "OK done"
        mailbox = account.mailbox(words[0] if words else "")
        if name in ("SELECT", "EXAMINE"):
            self._mailbox = mailbox
        if mailbox is None:
            return "NO [NONEXISTENT] no such mailbox"
        match name:
            case "STATUS":
                facts = mailbox.facts()
                asked = [item for item in words[1].strip("()").upper().split() if item in facts]
                shown = " ".join(f"{item} {facts[item]}" for item in asked)
                self._send(f'* STATUS "{words[0]}" ({shown})')
                return "OK done"
            case "GETQUOTAROOT":
                used = sum(held.size for held in account.mailboxes.values()) // 1024
                self._send(f'* QUOTAROOT "{words[0]}" "user"')
                self._send(f'* QUOTA "user" (STORAGE {used} {QUOTA // 1024})')
                return "OK done"
            case _:
                self._read_only = name == "EXAMINE"
                self._send("* FLAGS (\\Seen \\Deleted \\Answered \\Flagged \\Draft)")
                self._send(f"* {len(mailbox.messages)} EXISTS")
                self._send("* 0 RECENT")
                self._send(f"* OK [UIDVALIDITY {mailbox.uid_validity}] valid")
                self._send(f"* OK [UIDNEXT {mailbox.uid_next}] next")
                return f"OK [{'READ-ONLY' if self._read_only else 'READ-WRITE'}] done"

    def _on_messages(self, mailbox: Mailbox, name: str, words: list[str], by_uid: bool) -> str:
        """Carry out a command of the selected mailbox (section 6.4; RFC 4315 and 6851)."""
        match name:
            case "CLOSE":
                self._mailbox = None
            case "SEARCH":
                numbered = mailbox.found(words)
                found = [message.uid if by_uid else index for index, message in numbered]
                self._send(f"* SEARCH {' '.join(map(str, found))}".rstrip())
            case "FETCH":
                self._fetch(mailbox.chosen(words[0], by_uid=by_uid), " ".join(words[1:]).upper())
            case "STORE" | "EXPUNGE" if self._read_only:
                return "NO [READ-ONLY] the mailbox was examined"
            case "STORE":
                self._store(mailbox.chosen(words[0], by_uid=by_uid), words)
            case "EXPUNGE":
                chosen = mailbox.chosen(words[0] if by_uid and words else "1:*", by_uid=by_uid)
                deleted = [found for found in chosen if "\\Deleted" in found[1].flags]
                self._expunge(mailbox, deleted)
            case _:
                target = self._account.mailbox(words[1]) if self._account and words[1:] else None
                if self._read_only or target is None:
                    return "NO [TRYCREATE] no such mailbox, or the mailbox was examined"
                moved = mailbox.chosen(words[0], by_uid=by_uid)
                for _, message in reversed(moved):
                    target.deliver(message.content)
                self._expunge(mailbox, moved)
        return "OK done"

    def _expunge(self, mailbox: Mailbox, messages: list[tuple[int, Message]]) -> None:
        for index, message in reversed(messages):
            mailbox.messages.remove(message)
            self._send(f"* {index} EXPUNGE")

    def _fetch(self, messages: list[tuple[int, Message]], items: str) -> None:
        for index, message in messages:
            facts = [f"UID {message.uid}"]
            if "FLAGS" in items:
                facts.append(f"FLAGS ({' '.join(sorted(message.flags))})")
            if "INTERNALDATE" in items:
                facts.append(f'INTERNALDATE "{message.received:%d-%b-%Y %H:%M:%S +0000}"')
            if "RFC822.SIZE" in items:
                facts.append(f"RFC822.SIZE {len(message.content)}")
            self._writer.write(f"* {index} FETCH ({' '.join(facts)}".encode())
            if "BODY" in items:
                part, content = message.section(items)
                self._writer.write(f" BODY[{part} {{{len(content)}}}\r\n".encode() + content)
            self._writer.write(b")\r\n")

    def _store(self, messages: list[tuple[int, Message]], words: list[str]) -> None:
        flags = set(" ".join(words[2:]).strip("()").split())
        for index, message in messages:
            if words[1].startswith("-"):
                message.flags -= flags
            else:
                message.flags |= flags
            if "SILENT" not in words[1].upper():
                self._send(f"* {index} FETCH (FLAGS ({' '.join(sorted(message.flags))}))")
