# SPDX-License-Identifier: Apache-2.0
"""The lab's IMAP4rev1 server (RFC 3501) with TLS from the first byte: enough to read mail."""

import asyncio
import base64
import binascii
import re
import ssl
from datetime import UTC, datetime

from postroom.lab.imap_selected import COMMANDS, Selected
from postroom.lab.mailboxes import QUOTA, SPECIAL_USES, Account, Accounts, Mailbox

_LINE_LIMIT = 64 * 1024
#: How APPEND says when a message arrived (section 9, date-time).
_DATE_TIME = "%d-%b-%Y %H:%M:%S %z"
CAPABILITIES = (
    "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ IDLE ID UIDPLUS MOVE UNSELECT NAMESPACE SPECIAL-USE "
    "QUOTA STATUS=SIZE"
)
#: What is carried out after a sign-in, and what with a selected mailbox.
_ON_MAILBOXES = ("LIST", "NAMESPACE", "STATUS", "GETQUOTAROOT", "SELECT", "EXAMINE", "APPEND")
#: What changes mailboxes themselves; the last is the lab's own: the mailbox is numbered anew, under
#: another UIDVALIDITY, as after a server lost its index.
_ALTERING = ("CREATE", "DELETE", "RENAME", "XRENUMBER")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\([^()]*\))|([^\s"()]+)')


class LabImap:
    """The server, which says that it `offers` so much. `start` raises `OSError` where the port is
    taken."""

    def __init__(
        self,
        accounts: Accounts,
        context: ssl.SSLContext,
        address: str,
        port: int,
        offers: str = CAPABILITIES,
    ) -> None:
        self._accounts, self._context = accounts, context
        self._address, self._port, self._offers = address, port, offers
        self._server: asyncio.Server | None = None
        self._talking: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(
            self._converse, self._address, self._port, ssl=self._context, limit=_LINE_LIMIT
        )

    async def stop(self) -> None:
        """Stop listening, and hang up: sessions may last."""
        if self._server is not None:
            self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """End all sessions without a word, as a server does that is ended itself."""
        for writer in tuple(self._talking):
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(self._accounts, self._offers, reader, writer)
        self._talking.add(writer)
        try:
            await session.run()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError, ssl.SSLError):
            pass
        finally:
            session.deselect()
            self._talking.discard(writer)
            writer.close()


class _Session:
    """One connection, one state: not authenticated, authenticated, or selected."""

    def __init__(
        self,
        accounts: Accounts,
        offers: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._accounts, self._offers, self._reader, self._writer = accounts, offers, reader, writer
        self._account: Account | None = None
        self._selected: Selected | None = None
        self._watched: Mailbox | None = None
        self._changed = asyncio.Event()
        self._open = True
        #: The literal at the end of the last command, octet for octet.
        self._literal = b""

    async def run(self) -> None:
        self._send(f"* OK [CAPABILITY {self._offers}] postroom lab ready")
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
            elif name == "IDLE" and self._account is not None:
                await self._idle(tag)
            elif self._says_goodbye():
                pass
            else:
                self._send(f"{tag} {self._execute(name, words, by_uid)}")
            await self._writer.drain()

    def _says_goodbye(self) -> bool:
        """End the session where its mailbox is no longer what it was, as Dovecot does."""
        gone = self._selected is not None and self._selected.is_gone
        if gone and self._open:
            self._open = False
            self._send("* BYE the mailbox was deleted or made anew")
        return gone

    async def _read_command(self) -> str:
        """Read a line; literals become quoted strings, but for the content of APPEND."""
        text = ""
        while True:
            raw = await self._reader.readline()
            if not raw.endswith(b"\n"):
                return ""
            line = raw.rstrip(b"\r\n").decode("utf-8", "replace")
            literal = re.search(r"\{(\d{1,8})(\+?)\}$", line)
            if literal is None:
                return text + line
            if not literal[2]:
                self._send("+ go on")
                await self._writer.drain()
            self._literal = await self._reader.readexactly(int(literal[1]))
            content = "" if " APPEND " in line.upper() else self._literal.decode("utf-8", "replace")
            escaped = content.replace("\\", "\\\\").replace('"', '\\"')
            text += f'{line[: literal.start()]}"{escaped}"'

    def _execute(self, name: str, words: list[str], by_uid: bool) -> str:
        """Carry out a command, as far as the state allows it; return the tagged answer."""
        try:
            if self._selected is not None and name in COMMANDS:
                if name in ("CLOSE", "UNSELECT"):
                    self.deselect()
                    return "OK done"
                return self._selected.execute(name, words, by_uid)
            if self._account is not None and name in _ON_MAILBOXES:
                return self._on_mailboxes(self._account, name, words)
            if self._account is not None and name in _ALTERING:
                return self._alter(self._account, name, words)
        except (ValueError, IndexError):
            return "BAD arguments"
        match name:
            case "NOOP":
                if self._selected is not None:
                    self._selected.sync()
            case "CAPABILITY":
                self._send(f"* CAPABILITY {self._offers}")
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

    def _send(self, line: str | bytes) -> None:
        self._writer.write(line if isinstance(line, bytes) else line.encode() + b"\r\n")

    async def _idle(self, tag: str) -> None:
        """Tell of changes as they come, until the client is done (RFC 2177)."""
        self._send("+ idling")
        line = asyncio.ensure_future(self._reader.readline())
        try:
            while not line.done() and not self._says_goodbye():
                self._changed.clear()
                if self._selected is not None:
                    self._selected.sync()
                await self._writer.drain()
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait({line, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
            if self._open:
                is_done = (await line).strip().upper() == b"DONE"
                self._send(f"{tag} {'OK done' if is_done else 'BAD expected DONE'}")
        finally:
            line.cancel()

    def deselect(self) -> None:
        """Leave the mailbox that is selected."""
        if self._watched is not None:
            self._watched.watchers.discard(self._changed.set)
        self._selected = self._watched = None

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
            self.deselect()
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
            case "APPEND":
                return self._append(mailbox, words[1:-1])
            case _:
                examined = name == "EXAMINE"
                self._selected = Selected(account, mailbox, self._send, read_only=examined)
                self._watched = mailbox
                mailbox.watchers.add(self._changed.set)
                return self._selected.introduce()

    def _append(self, mailbox: Mailbox, words: list[str]) -> str:
        """APPEND with flags and a time, or without (section 6.3.11, RFC 4315)."""
        flags = words.pop(0).strip("()").split() if words and words[0].startswith("(") else []
        received = (
            datetime.strptime(words[0].strip(), _DATE_TIME).astimezone(UTC) if words else None
        )
        made = mailbox.deliver(self._literal, received, flags)
        return f"OK [APPENDUID {mailbox.uid_validity} {made.uid}] done"

    def _alter(self, account: Account, name: str, words: list[str]) -> str:
        """Make, remove, rename or renumber a mailbox (section 6.3)."""
        mailbox = account.mailbox(words[0])
        match name:
            case "CREATE" if mailbox is None:
                account.create(words[0])
            case "DELETE" if words[0] in account.mailboxes.keys() - {"INBOX"}:
                account.delete(words[0])
            case "RENAME" if words[0] in account.mailboxes and account.mailbox(words[1]) is None:
                account.rename(words[0], words[1])
            case "XRENUMBER" if mailbox is not None:
                mailbox.make_anew()
            case _:
                return "NO [CANNOT] that mailbox exists, or does not"
        return "OK done"
