# SPDX-License-Identifier: Apache-2.0
"""How a conversation over IMAP begins: connect, greet, secure, read capabilities."""

from __future__ import annotations

import asyncio
import ssl
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSMode
from postroom.api.reasons import Reason
from postroom.mail.connect import tls
from postroom.mail.connect.certificate import facts_of
from postroom.mail.connect.dial import Failure
from postroom.mail.imap.protocol import ConnectionEnded, Ending, GuardedProtocol, ask_for_tls
from postroom.mail.imap.text import capabilities_in, mechanisms_among
from postroom.mail.replies import Meaning, Stage, meaning_of_imap
from postroom.mail.session.capabilities import known_capabilities, known_mechanisms
from postroom.mail.session.probe import Probe, recognised
from postroom.mail.session.sasl import circumstances

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


class ImapSession(Probe):
    """One conversation with one IMAP endpoint; `run` once.

    `_converse` is what the two sides do once they know each other; `_errand` what comes after that,
    with `_errand_seconds` of its own.
    """

    where_tls_begins = "use the port for implicit TLS (993)"
    _errand_seconds = 0.0

    _protocol: GuardedProtocol | None = None

    @property
    def _allowance(self) -> float:
        return super()._allowance + self._errand_seconds

    @abstractmethod
    async def _converse(self, protocol: GuardedProtocol, offered: set[str]) -> None:
        """Go on after the capabilities are known and TLS stands; raises `Failure`.

        Adds to `offered` what the server tells later.
        """

    async def _errand(self, protocol: GuardedProtocol, offered: set[str]) -> None:
        """Do what the conversation is for besides the check; raises `Failure`."""

    async def _talk(self) -> None:
        self._keep_login_out_of_the_clear()
        context = None
        if self._endpoint.tls is not TLSMode.NONE:
            context = await self._trust.context(self._endpoint.ca_bundle)
        implicit = context if self._endpoint.tls is TLSMode.IMPLICIT else None
        protocol: GuardedProtocol | None = None
        try:
            # The errand's time must not be what slow greetings leave of it.
            async with asyncio.timeout(self._deadlines.total):
                protocol = await self._connect(implicit)
                greeting = await self._greet(protocol)
                offered = await self._capabilities(protocol, greeting)
                if context is not None and implicit is None:
                    await self._start_tls(protocol, context, offered)
                    # What was told in the clear anyone could have told (RFC 9051 section 6.2.1).
                    offered = await self._capabilities(protocol, greeting, ask=True)
                await self._converse(protocol, offered)
            await self._errand(protocol, offered)
            # Not awaited: the verdict stands.
            protocol.send("zz LOGOUT")
        finally:
            if protocol is not None:
                protocol.abort()
                # One turn of the loop, in which the transport closes its socket.
                await asyncio.sleep(0)

    async def _connect(self, implicit: ssl.SSLContext | None) -> GuardedProtocol:
        connection = await self._dialler.dial(self._endpoint)
        self._stage = ProbeStage.GREETING if implicit is None else ProbeStage.TLS
        try:
            async with asyncio.timeout(self._deadlines.tls):
                _, protocol = await asyncio.get_running_loop().create_connection(
                    GuardedProtocol,
                    sock=connection,
                    ssl=implicit,
                    server_hostname=self._endpoint.server_name if implicit else None,
                )
        except TimeoutError:
            await tls.let_go(None, connection)
            raise self._no_tls() from None
        except OSError as error:
            await tls.let_go(None, connection)
            raise await self._tls_failure(error) from None
        except BaseException:
            await tls.let_go(None, connection)
            raise
        self._tls, self._protocol = facts_of(protocol.secured), protocol
        return protocol

    def _line_so_far(self) -> bytes:
        return self._protocol.line_so_far if self._protocol is not None else b""

    async def _greet(self, protocol: GuardedProtocol) -> bytes:
        async with self._at(ProbeStage.GREETING, self._deadlines.greeting, protocol):
            greeting = await asyncio.shield(protocol.greeting)
        kind = greeting[:10].upper()
        if kind.startswith(b"* BYE"):
            raise self._says_goodbye(greeting[5:], "says BYE instead of greeting")
        if kind.startswith(b"* PREAUTH") and self._endpoint.tls is TLSMode.START_TLS:
            # RFC 9051 section 7.1.4: it is too late for STARTTLS.
            raise self._no_start_tls("signs everyone in at once (PREAUTH), without STARTTLS")
        if kind.startswith(b"* PREAUTH") and self._login is not None:
            message = (
                f"{self._place} signs everyone in without asking (PREAUTH), so that credentials "
                "cannot be checked: use a port that asks for them."
            )
            raise self._failure(Reason.CAPABILITY_MISSING, message)
        if not kind.startswith((b"* OK", b"* PREAUTH")):
            raise self._not_imap()
        return greeting

    def _not_imap(self) -> Failure:
        message = f"What answers at {self._place} is no IMAP server: correct host or port."
        return self._failure(Reason.UNEXPECTED_GREETING, message)

    async def _capabilities(
        self, protocol: GuardedProtocol, greeting: bytes, *, ask: bool = False
    ) -> set[str]:
        """Return what the server offers; unless we `ask`, as its greeting tells, if it does."""
        words = set() if ask else capabilities_in([greeting])
        if not words & _PROTOCOLS:
            async with self._at(ProbeStage.CAPABILITIES, self._deadlines.command, protocol):
                result, lines = await protocol.run("CAPABILITY")
            words = capabilities_in(lines)
            if result != "OK" and not words and self._login is not None:
                # Who refuses to tell may take the command LOGIN all the same, which then shows it.
                self._note_offers(greeting, words)
                return words
        self._stage = ProbeStage.CAPABILITIES
        if not words & _PROTOCOLS:
            raise self._not_imap()
        self._note_offers(greeting, words)
        return words

    def _note_offers(self, greeting: bytes, words: set[str]) -> None:
        self._server = ServerFacts(
            implementation=recognised(greeting.decode("utf-8", "replace"), _IMPLEMENTATIONS),
            capabilities=known_capabilities(words)[:64],
            auth_mechanisms=known_mechanisms(mechanisms_among(words))[:32],
        )

    async def _start_tls(
        self, protocol: GuardedProtocol, context: ssl.SSLContext, offered: set[str]
    ) -> None:
        if "STARTTLS" not in offered:
            raise self._no_start_tls("does not offer STARTTLS")
        self._stage = ProbeStage.TLS
        try:
            async with asyncio.timeout(self._deadlines.tls):
                result, lines = await protocol.run("STARTTLS")
                if result == "OK":
                    await protocol.secure(context, self._endpoint.server_name)
        except TimeoutError:
            message = f"{self._place} offers STARTTLS, but does not finish it: look at its load."
            raise self._passing(Reason.HANDSHAKE_FAILED, message) from None
        except ConnectionEnded as ended:
            raise self._ended(ended.ending, protocol.farewell) from None
        except OSError as error:
            raise await self._tls_failure(error, ask_for_tls) from None
        if result != "OK":
            answer = "NO" if result == "NO" else "BAD"
            meaning = self._meaning(Stage.TLS, text_of(lines), answer)
            raise self._meant(meaning, f"offers STARTTLS, but answers it with {answer}")
        self._tls = facts_of(protocol.secured)

    def _no_start_tls(self, does: str) -> Failure:
        message = (
            f"{self._place} {does}, and nothing is sent in the clear: {self.where_tls_begins}, or "
            "enable STARTTLS on the server."
        )
        return self._failure(Reason.START_TLS_NOT_OFFERED, message)

    def _meaning(self, stage: Stage, text: str, result: str) -> Meaning:
        """What NO, BAD or BYE means here."""
        self._said = text
        about = circumstances(stage, self._endpoint, self._login)
        return meaning_of_imap(text, result, about)

    def _meant(self, meaning: Meaning, does: str, reason: Reason | None = None) -> Failure:
        """The end of a session by an answer; `does` is what the server does."""
        return Failure(
            self._stage,
            reason or meaning.reason,
            f"{self._place} {does}. {meaning.hint}",
            conclusive=meaning.conclusive,
            retry_after=meaning.wait,
            cause=meaning.cause.value,
        )

    def _says_goodbye(self, text: bytes, does: str) -> Failure:
        """BYE: the server takes no more commands, or none at all (RFC 9051 section 7.1.5)."""
        said = text.decode("utf-8", "replace")
        meaning = self._meaning(Stage(self._stage.value), said, "BYE")
        if self._stage is ProbeStage.AUTH and meaning.refuses_credentials:
            self._authenticated = False
        return self._meant(meaning, does)

    @asynccontextmanager
    async def _at(
        self, stage: ProbeStage, seconds: float, protocol: GuardedProtocol
    ) -> AsyncIterator[None]:
        """Bound a stage, and turn what goes wrong on the way into its failure."""
        self._stage = stage
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            if stage is ProbeStage.GREETING:
                raise await self._does_not_greet() from None
            raise self._silent() from None
        except ConnectionEnded as ended:
            if ended.ending is Ending.CLOSED:
                upgraded = self._endpoint.tls is TLSMode.START_TLS
                raise await self._gone(
                    protocol.lost_by, ask_for_tls if upgraded else None
                ) from None
            raise self._ended(ended.ending, protocol.farewell) from None

    def _ended(self, ending: Ending, farewell: bytes | None) -> Failure:
        if ending is Ending.GOODBYE:
            return self._says_goodbye(farewell or b"", "says BYE")
        if ending is Ending.INJECTED:
            return self._injected(self.where_tls_begins)
        if ending is Ending.CLOSED:
            return self._broken_off()
        if self._stage in (ProbeStage.GREETING, ProbeStage.CAPABILITIES):
            return self._not_imap()
        message = f"{self._place} breaks the rules of IMAP, or answers without end: read its log."
        return self._passing(Reason.PROBE_INCONCLUSIVE, message)


def text_of(lines: list[bytes]) -> str:
    """The text of a result, which is the last line."""
    return lines[-1].decode("utf-8", "replace") if lines else ""
