# SPDX-License-Identifier: Apache-2.0
"""How the servers of `lab.mail_machine` speak SMTP and IMAP where they play no trick."""

from __future__ import annotations

import asyncio
import base64
import re
from contextlib import suppress
from typing import Any, cast

from lab.mail_machine import (
    CLEAR_ONLY,
    CLEAR_ONLY_IMAP,
    TLS_ONLY,
    TLS_ONLY_IMAP,
    TRUSTING,
    Broken,
    Machine,
    Talk,
)
from postroom.mail.connect.dial import Dialler
from postroom.mail.connect.tls import TrustStore
from postroom.mail.session.state import Connector

#: What is offered for signing in; the server knows no password, so that SCRAM never comes to a yes.
OFFERS = (
    ("PLAIN",),
    ("LOGIN",),
    ("PLAIN", "LOGIN", "XOAUTH2"),
    ("CRAM-MD5",),
    ("SCRAM-SHA-256",),
    ("XOAUTH2",),
    ("OAUTHBEARER",),
    (),
)
_ERROR = base64.b64encode(b'{"status":"invalid_token","schemes":"bearer"}')
#: Of one length; all but the first look like what servers say themselves.
MESSAGES = (
    *(b"Subject: x\r\n\r\nbody\r\n", b"OK [UIDVALIDITY 9] x", b"SEARCH 9 10 11 12 13"),
    *(b"* BYE going to leave", b"A1 OK in {5}\r\n* 9 EX", b"+ go on\r\nA1 NO {9}\r\n"),
)


class SmtpTalk(Talk):
    """RFC 5321, RFC 3207 and RFC 4954."""

    tempting = (
        *(b"235 2.7.0 in\r\n", b"220 go on\r\n", b"250 ok\r\n", b"354 go on\r\n"),
        *(b"334 \r\n", b"250-x\r\n250 AUTH PLAIN\r\n", b"421 bye\r\n", b"535 no\r\n"),
        *(b"250-", b"235-in\r\n", b"535-no\r\n", b"999 x\r\n", b"2\r\n", b"235"),
    )

    def is_yes(self, said: bytes) -> bool:
        """A reply whose lines all have the code, as they must (RFC 5321 section 4.2.1)."""
        codes: set[bytes] = set()
        for line in re.split(rb"\r?\n", said.replace(b"\0", b"")):
            codes.add(line[:3])
            if line[3:4] != b"-":
                if codes == {b"235"}:
                    return True
                codes.clear()
        return False

    def is_whole(self, line: bytes) -> bool:
        return re.match(rb"\d{3}( |\r?\Z)", line) is not None

    def other_result(self, reply: bytes) -> bytes:
        codes = (b"535", b"235", b"250", b"334", b"421", b"454", b"500", b"600", b"000")
        code: bytes = self.choose(codes)
        return code + reply[3:]

    def goodbye(self) -> bytes:
        return b"421 4.3.2 closing\r\n"

    def many_lines(self) -> bytes:
        code: bytes = self.choose((b"250", b"235", b"535", b"220"))
        return (code + b"-more\r\n") * int(self.choose((1, 3, 2_000)))

    async def converse(self) -> None:
        await self.say(b"220 mail.example.com ESMTP\r\n")
        while True:
            line = await self.line()
            words = line.upper().split()
            match words[0] if words else b"":
                case b"EHLO":
                    await self.say(self._extensions())
                case b"STARTTLS" if not self.secured:
                    await self.say(b"220 2.0.0 go on\r\n")
                    await self.begin_tls()
                case b"AUTH" if len(words) > 1:
                    await self._judge(words[1])
                case b"DATA":
                    await self._take_message()
                case b"QUIT":
                    await self.say(b"221 bye\r\n")
                    raise Broken
                case b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP":
                    await self.say(b"250 2.1.0 ok\r\n")
                case _:
                    await self.say(b"500 5.5.1 what\r\n")

    def _extensions(self) -> bytes:
        words = [b"mail.example.com", b"SIZE 1000", b"ENHANCEDSTATUSCODES"]
        words.append((TLS_ONLY if self.secured else CLEAR_ONLY).encode())
        if not self.secured and self.choose((True, True, True, False)):
            words.append(b"STARTTLS")
        if mechanisms := self.choose(OFFERS):
            words.append(f"AUTH {' '.join(mechanisms)}".encode())
        return b"".join(b"250-" + word + b"\r\n" for word in words) + b"250 HELP\r\n"

    async def _judge(self, mechanism: bytes) -> None:
        self.judges_login = True
        questions = {b"LOGIN": [b"VXNlcm5hbWU6"], b"CRAM-MD5": [base64.b64encode(b"<1@x>")]}
        for question in questions.get(mechanism, []):
            await self.say(b"334 " + question + b"\r\n")
            await self.line()
        good = self.choose((True, False))
        if mechanism.startswith(b"SCRAM"):
            await self.say(b"334 " + base64.b64encode(b"r=x,s=eA==,i=4096") + b"\r\n")
            await self.line()
        elif mechanism in (b"XOAUTH2", b"OAUTHBEARER") and not good:
            await self.say(b"334 " + _ERROR + b"\r\n")
            await self.line()
        await self.say(b"235 2.7.0 in\r\n" if good else b"535 5.7.8 no\r\n")
        self.judges_login = False

    async def _take_message(self) -> None:
        await self.say(b"354 go on\r\n")
        while await self.line() != b".":
            pass
        self.judges_message = True
        await self.say(self.choose((b"250 2.0.0 queued\r\n", b"554 5.7.1 no\r\n")))
        self.judges_message = False


class ImapTalk(Talk):
    """RFC 9051, as far as a check, the errands and reading need it."""

    tag = b"*"

    @property
    def tempting(self) -> tuple[bytes, ...]:  # type: ignore[override]  # the tags are the client's
        return (
            *(self.tag + b" OK done\r\n", self._next_tag() + b" OK done\r\n", b"+ \r\n"),
            *(b"* OK x\r\n", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n", b"* BYE x\r\n"),
            *(
                b"* PREAUTH x\r\n",
                b"* 3 EXISTS\r\n",
                b"* 1 FETCH (BODY[] {5}\r\nab)\r\n",
                b"* \r\n",
            ),
            *(b"* X {3}\r\n", b"zz OK x\r\n", b"* X {4294967296}\r\n", b"\r\n", b"OK\r\n"),
            *(self.tag + b" NO [AUTHENTICATIONFAILED] no\r\n", self.tag + b" BAD x\r\n", self.tag),
        )

    def _next_tag(self) -> bytes:
        found = re.fullmatch(rb"([A-Z]*)(\d+)", self.tag)
        return found[1] + str(int(found[2]) + 1).encode() if found else b"A1"

    def is_yes(self, said: bytes) -> bool:
        return self.tag.upper() + b" OK" in said.upper().replace(b"\0", b"")

    def is_whole(self, line: bytes) -> bool:
        return line.startswith(self.tag + b" ")

    def other_result(self, reply: bytes) -> bytes:
        result = self.choose((b"NO", b"BAD", b"OK", b"BYE", b"NO [AUTHENTICATIONFAILED]"))
        return re.sub(rb"\b(OK|NO)\b", result, reply)

    def goodbye(self) -> bytes:
        return b"* BYE [UNAVAILABLE] closing\r\n"

    def many_lines(self) -> bytes:
        line: bytes = self.choose((b"* OK x\r\n", b"* 1 EXISTS\r\n", b"+ \r\n"))
        return line * int(self.choose((1, 3, 25_000)))

    async def converse(self) -> None:
        await self.say(b"* OK ready\r\n")
        while True:
            line = await self.line()
            tag, _, command = line.partition(b" ")
            self.tag = tag or b"*"
            await self._answer(command)

    async def _answer(self, command: bytes) -> None:
        words = command.upper().split()
        match words:
            case [b"STARTTLS"] if not self.secured:
                await self.say(self.tag + b" OK go on\r\n")
                await self.begin_tls()
            case [b"CAPABILITY"]:
                await self._done(b"* CAPABILITY " + self._capabilities() + b"\r\n")
            case [b"LOGIN", *_]:
                self.judges_login = True
                await self._judged(self.choose((True, False)))
            case [b"AUTHENTICATE", mechanism, *initial]:
                self.judges_login = True
                await self._judge(mechanism, bool(initial))
            case [b"IDLE"]:
                await self.say(b"+ idling\r\n* 4 EXISTS\r\n")
                with suppress(asyncio.IncompleteReadError):
                    await self.line()
                await self._done()
            case [b"LOGOUT"]:
                raise Broken
            case _:
                await self._done(self._told(words))

    async def _done(self, told: bytes = b"") -> None:
        await self.say(told + self.tag + b" OK done\r\n")

    def _capabilities(self) -> bytes:
        words = ["IMAP4rev1", "ID", "IDLE", "UNSELECT", "QUOTA", "LITERAL+"]
        words.append(TLS_ONLY_IMAP if self.secured else CLEAR_ONLY_IMAP)
        words += [f"AUTH={name}" for name in self.choose(OFFERS)]
        if not self.secured:
            words += self.choose((["STARTTLS"],) * 3 + ([],))
        words += self.choose(([], ["SASL-IR"], ["LOGINDISABLED"]))
        return " ".join(words).encode()

    async def _judge(self, mechanism: bytes, initial: bool) -> None:
        asked = [] if initial or mechanism in (b"CRAM-MD5", b"LOGIN") else [b""]
        asked += {b"LOGIN": [b"VXNlcjo=", b"UGFzczo="], b"CRAM-MD5": [b"PDFAeD4="]}.get(
            mechanism, []
        )
        good = self.choose((True, False))
        if mechanism.startswith(b"SCRAM"):
            asked.append(base64.b64encode(b"r=x,s=eA==,i=4096"))
        if mechanism in (b"XOAUTH2", b"OAUTHBEARER") and not good:
            asked.append(_ERROR)
        for question in asked:
            await self.say(b"+ " + question + b"\r\n")
            if await self.line() == b"*":
                good = False
        await self._judged(good)

    async def _judged(self, good: bool) -> None:
        await self.say(self.tag + (b" OK in\r\n" if good else b" NO [AUTHENTICATIONFAILED] no\r\n"))
        self.judges_login = False

    def _told(self, words: list[bytes]) -> bytes:
        """What is told before the result."""
        match words:
            case [b"EXAMINE" | b"SELECT", *_]:
                return b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9] x\r\n"
            case [b"STATUS", *_]:
                return b"* STATUS INBOX (MESSAGES 3 UNSEEN 1 UIDNEXT 9 UIDVALIDITY 7)\r\n"
            case [b"UID", b"SEARCH", *_]:
                return b"* SEARCH 7 8\r\n"
            case [b"UID", b"FETCH", uid, *_] if b"BODY" in b" ".join(words):
                message: bytes = self.choose(MESSAGES)
                origin = 0 if b"<0." in b" ".join(words) else len(message)
                octets = message[origin:]
                part = b"HEADER" if b"HEADER" in b" ".join(words) else b""
                shown = b"BODY[%s]<%d> {%d}\r\n%s" % (part, origin, len(octets), octets)
                return b"* 2 FETCH (UID " + uid + b" " + shown + b")\r\n"
            case [b"FETCH", *_] | [b"UID", b"FETCH", *_]:
                facts = b'INTERNALDATE "01-May-2026 12:00:00 +0000" RFC822.SIZE 20'
                return b"".join(
                    b"* %d FETCH (UID %d " % (uid - 6, uid) + facts + b")\r\n" for uid in (7, 8)
                )
            case [b"LIST", *_]:
                return b'* LIST (\\HasNoChildren \\Junk) "/" Spam\r\n'
            case _:
                return b""


class SmtpMachine(Machine):
    def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> SmtpTalk:
        return SmtpTalk(self, reader, writer)


class ImapMachine(Machine):
    def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> ImapTalk:
        return ImapTalk(self, reader, writer)


class _Trusting(TrustStore):
    """Trusts the authority of the tests, without building a context for each example."""

    async def context(self, ca_bundle: str | None, *, common_name: bool = True) -> Any:
        return TRUSTING


def connector(machine: Machine) -> Connector:
    return Connector(cast("Dialler", machine), _Trusting())
