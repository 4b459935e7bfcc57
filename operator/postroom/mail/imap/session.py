# SPDX-License-Identifier: Apache-2.0
"""One conversation over IMAP: greet, secure, read capabilities; and its commands."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable
from typing import TypeVar

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSMode
from postroom.api.reasons import Reason
from postroom.concurrency.patience import PeerDeadline
from postroom.mail.connect.certificate import facts_of
from postroom.mail.connect.dial import Failure
from postroom.mail.imap.protocol import (
    LINE_LIMIT,
    CommandAnswer,
    ConnectionEnded,
    Ending,
    GuardedProtocol,
)
from postroom.mail.imap.text import capabilities_in, mechanisms_among
from postroom.mail.replies import Meaning, Stage, as_text, meaning_of_imap
from postroom.mail.session.capabilities import known_capabilities, known_mechanisms
from postroom.mail.session.sasl import circumstances
from postroom.mail.session.state import SessionState, recognised

AnswerT = TypeVar("AnswerT")

_IMPLEMENTATIONS = (
    ("dovecot", "Dovecot"),
    ("gimap", "Gmail"),
    ("microsoft exchange", "Microsoft Exchange"),
    ("cyrus", "Cyrus"),
    ("courier", "Courier"),
    ("stalwart", "Stalwart"),
    ("postroom lab", "postroom lab"),
)
_PROTOCOLS = {"IMAP4", "IMAP4REV1", "IMAP4REV2"}


class ImapSession:
    """One conversation with one IMAP endpoint; `capabilities` are what the server told last."""

    def __init__(self, state: SessionState, protocol: GuardedProtocol) -> None:
        self.state, self.protocol = state, protocol
        state.line_so_far = lambda: protocol.line_so_far
        state.beside = lambda: [as_text(text) for text in protocol.notices.texts]
        state.alerts = lambda: [as_text(text) for text in protocol.notices.alerts]
        self.capabilities: set[str] = set()

    async def introduce(self, context: ssl.SSLContext | None) -> None:
        """Greet and secure, so that the sides know each other; raises `Failure`."""
        greeting = await self._greet()
        await self._read_capabilities(greeting)
        if context is not None and self.state.endpoint.tls is not TLSMode.IMPLICIT:
            await self._start_tls(context)
            await self._read_capabilities(greeting, ask=True)

    async def _greet(self) -> bytes:
        seconds = self.state.deadlines.greeting
        told = asyncio.shield(self.protocol.greeting)
        greeting = await self.within(ProbeStage.GREETING, seconds, told)
        kind = greeting[:10].upper()
        if kind.startswith(b"* BYE"):
            raise self._says_goodbye(greeting[5:], "says BYE instead of greeting")
        if kind.startswith(b"* PREAUTH") and self.state.endpoint.tls is TLSMode.START_TLS:
            # RFC 9051 section 7.1.4: it is too late for STARTTLS.
            raise self._no_start_tls("signs everyone in at once (PREAUTH), without STARTTLS")
        if kind.startswith(b"* PREAUTH") and self.state.login is not None:
            wrong = (
                f"{self.state.place} signs everyone in without asking (PREAUTH), so that "
                "credentials cannot be checked:"
            )
            fix = "use a port that asks for them."
            raise self.state.failure(Reason.CAPABILITY_MISSING, wrong, fix)
        if not kind.startswith((b"* OK", b"* PREAUTH")):
            raise self._not_imap()
        return greeting

    def _not_imap(self) -> Failure:
        wrong = f"What answers at {self.state.place} is no IMAP server:"
        return self.state.failure(Reason.UNEXPECTED_GREETING, wrong, "correct host or port.")

    async def _read_capabilities(self, greeting: bytes, *, ask: bool = False) -> None:
        """Keep what the server offers; unless we `ask`, as its greeting tells, if it does."""
        state = self.state
        words = set() if ask else capabilities_in([greeting])
        unknown = False
        if not words & _PROTOCOLS:
            result, lines = await self.ask("CAPABILITY", stage=ProbeStage.CAPABILITIES)
            words = capabilities_in(lines)
            # Who refuses to tell may take the command LOGIN all the same, which then shows it.
            unknown = result != "OK" and not words and state.login is not None
        state.stage = ProbeStage.CAPABILITIES
        if not words & _PROTOCOLS and not unknown:
            raise self._not_imap()
        self.capabilities = words
        state.server = ServerFacts(
            implementation=recognised(greeting.decode("utf-8", "replace"), _IMPLEMENTATIONS),
            capabilities=known_capabilities(words)[:64],
            auth_mechanisms=known_mechanisms(mechanisms_among(words))[:32],
        )

    def learn(self, words: set[str]) -> None:
        """Take what the server tells of itself once we are signed in: all of it in place of what it
        told before, which it need not offer any more (RFC 9051 section 6.2.2)."""
        self.capabilities = words if words & _PROTOCOLS else self.capabilities | words

    async def ask(
        self,
        name: str,
        *arguments: str,
        stage: ProbeStage = ProbeStage.MAILBOX,
        line_limit: int = LINE_LIMIT,
    ) -> CommandAnswer:
        """The answer to a command, whatever it is; raises `Failure` where there is none."""
        answer = self.protocol.run(name, *arguments, line_limit=line_limit)
        return await self.within(stage, self.state.deadlines.command, answer)

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        if "STARTTLS" not in self.capabilities:
            raise self._no_start_tls("does not offer STARTTLS")
        self.state.stage = ProbeStage.TLS
        result = ""
        try:
            async with PeerDeadline(self.state.deadlines.tls):
                result, lines = await self.protocol.run("STARTTLS")
                if result == "OK":
                    await self.protocol.secure(context, self.state.endpoint.server_name)
        except TimeoutError:
            raise self.state.unfinished_tls() from None
        except ConnectionEnded as ended:
            lost = self.protocol.lost_by or ConnectionResetError()
            if ended.ending is not Ending.CLOSED:
                raise self._ended(ended.ending, self.protocol.farewell) from None
            if result == "OK":
                raise await self.state.tls_failure(lost, ask_for_tls) from None
            # As after any command: nothing was said of TLS.
            raise await self.state.gone(lost) from None
        except OSError as error:
            raise await self.state.tls_failure(error, ask_for_tls) from None
        if result != "OK":
            answer = "NO" if result == "NO" else "BAD"
            meaning = self.meaning(Stage.TLS, text_of(lines), answer)
            raise self.meant(meaning, f"offers STARTTLS, but answers it with {answer}")
        self.state.tls = facts_of(self.protocol.secured)
        # What was told in the clear anyone could have told (RFC 9051 section 6.2.1).
        self.capabilities, self.state.server = set(), None

    def _no_start_tls(self, does: str) -> Failure:
        wrong = f"{self.state.place} {does}, and nothing is sent in the clear:"
        fix = f"{self.state.where_tls_begins}, or enable STARTTLS on the server."
        return self.state.failure(Reason.START_TLS_NOT_OFFERED, wrong, fix)

    def meaning(self, stage: Stage, text: str, result: str) -> Meaning:
        """What NO, BAD or BYE means here."""
        self.state.said = text
        about = circumstances(stage, self.state.endpoint, self.state.login)
        return meaning_of_imap(text, result, about)

    def meant(self, meaning: Meaning, does: str) -> Failure:
        """The end of a session by an answer; `does` is what the server does."""
        reason = meaning.reason
        if reason is Reason.PROBE_SUCCEEDED:
            # A mere warning elsewhere, such as a full mailbox; here the server does nothing more.
            reason = Reason.TEMPORARY_FAILURE
        return Failure(
            self.state.stage,
            reason,
            f"{self.state.place} {does}.",
            conclusive=meaning.conclusive,
            retry_after=meaning.wait,
            cause=meaning.cause.value,
            needs_someone=meaning.needs_someone,
            unclear=meaning.unclear,
            fix=meaning.hint,
        )

    def _says_goodbye(self, text: bytes, does: str) -> Failure:
        """BYE: the server takes no more commands, or none at all (RFC 9051 section 7.1.5)."""
        said = as_text(text)
        meaning = self.meaning(Stage(self.state.stage.value), said, "BYE")
        if self.state.stage is ProbeStage.AUTH and meaning.counts_as_refusal:
            self.state.authenticated = False
        return self.meant(meaning, does)

    async def within(
        self, stage: ProbeStage, seconds: float, answer: Awaitable[AnswerT]
    ) -> AnswerT:
        """Await an answer as a stage, for some seconds; what goes wrong is the stage's failure."""
        self.state.stage = stage
        try:
            async with PeerDeadline(seconds):
                return await answer
        except TimeoutError:
            if stage is ProbeStage.GREETING:
                raise await self.state.does_not_greet() from None
            raise self.state.silent() from None
        except ConnectionEnded as ended:
            if ended.ending is Ending.CLOSED:
                upgraded = self.state.endpoint.tls is TLSMode.START_TLS
                raise await self.state.gone(
                    self.protocol.lost_by, ask_for_tls if upgraded else None
                ) from None
            raise self._ended(ended.ending, self.protocol.farewell) from None

    def _ended(self, ending: Ending, farewell: bytes | None) -> Failure:
        if ending is Ending.GOODBYE:
            return self._says_goodbye(farewell or b"", "says BYE")
        if ending is Ending.INJECTED:
            return self.state.injected(self.state.where_tls_begins)
        if ending is Ending.CLOSED:
            return self.state.broken_off()
        if self.state.stage in (ProbeStage.GREETING, ProbeStage.CAPABILITIES):
            return self._not_imap()
        wrong = f"{self.state.place} breaks the rules of IMAP, or answers without end:"
        return self.state.passing(Reason.PROBE_INCONCLUSIVE, wrong, "read its log.")


def text_of(lines: list[bytes]) -> str:
    """The text of a result, which is the last line."""
    return as_text(lines[-1]) if lines else ""


async def ask_for_tls(connection: socket.socket) -> bool:
    """Bring a plain connection to the point where TLS begins; False where it does not get there."""
    loop = asyncio.get_running_loop()

    async def line_that_begins(prefix: bytes) -> bool:
        text = b""
        while len(text) < LINE_LIMIT:
            more = await loop.sock_recv(connection, 4096)
            if not more:
                return False
            text += more
            if text.endswith(b"\n") and text.splitlines()[-1].startswith(prefix):
                return True
        return False

    if not await line_that_begins(b"* OK"):
        return False
    await loop.sock_sendall(connection, b"a STARTTLS\r\n")
    return await line_that_begins(b"a OK")
