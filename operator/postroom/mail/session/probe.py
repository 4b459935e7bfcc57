# SPDX-License-Identifier: Apache-2.0
"""What the probes of both protocols share: stages with deadlines, and the report at the end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSFacts, TLSMode
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.mail.connect import tls
from postroom.mail.connect.dial import Deadlines, Dialler, Failure
from postroom.mail.connect.handshake import Sight, look
from postroom.mail.replies import normalised
from postroom.mail.report import Endpoint, Login, Mailbox, ProbeReport
from postroom.mail.session.capabilities import known_mechanisms
from postroom.mail.session.echo_filter import Repetition

#: Brings a connection to the point where TLS begins; False where it does not get there.
Prelude = Callable[[socket.socket], Awaitable[bool]]


class Probe(ABC):
    """One probe of one endpoint; `run` once."""

    #: The remedy where implicit TLS is asked for and the server does not begin with TLS.
    where_tls_begins: str

    def __init__(
        self, endpoint: Endpoint, login: Login | None, dialler: Dialler, trust: tls.TrustStore
    ) -> None:
        self._endpoint = endpoint
        self._login = login
        names = (endpoint.host, endpoint.server_name)
        self._repeated = Repetition(login.password if login else Masked(""), names)
        self._dialler = dialler
        self._trust = trust
        self._stage = ProbeStage.RESOLVE
        self._server: ServerFacts | None = None
        self._tls: TLSFacts | None = None
        self._authenticated: bool | None = None
        self._mailbox: Mailbox | None = None
        #: What the server said last when it refused something; never shown as it is.
        self._said: str | None = None

    @property
    def _deadlines(self) -> Deadlines:
        return self._dialler.deadlines

    @property
    def _allowance(self) -> float:
        """How many seconds all of it may take."""
        return self._deadlines.total

    @property
    def _place(self) -> str:
        return f"{self._endpoint.host}:{self._endpoint.port}"

    @abstractmethod
    async def _talk(self) -> None:
        """Go through the stages, keeping `_stage` and the facts; raises `Failure`."""

    async def run(self) -> ProbeReport:
        """Probe; every failure of server or network is in the report."""
        try:
            async with asyncio.timeout(self._allowance):
                await self._talk()
        except Failure as failure:
            return self._report(failure)
        except TimeoutError:
            message = f"{self._place} answers too slowly to be checked: look at its load."
            return self._report(self._passing(Reason.CONNECTION_TIMEOUT, message))
        return self._report(
            Failure(ProbeStage.DONE, Reason.PROBE_SUCCEEDED, f"{self._place} works.")
        )

    def _report(self, end: Failure) -> ProbeReport:
        return ProbeReport(
            stage=end.stage,
            reason=end.reason,
            message=end.message,
            conclusive=end.conclusive,
            authenticated=self._authenticated,
            code=end.code,
            enhanced_code=end.enhanced_code,
            server=self._server,
            tls=self._repeated.without(self._tls),
            mailbox=self._repeated.without_in_mailbox(self._mailbox),
            retry_after=end.retry_after,
            cause=end.cause,
            server_text=self._server_text(end),
        )

    def _server_text(self, end: Failure) -> str | None:
        """The server's own words at the end, fit for status; None where it gave none."""
        if self._said is None or end.stage is ProbeStage.DONE or end.cause is None:
            return None
        login = self._login
        secrets, names = ((login.password,), (login.username,)) if login else ((), ())
        return normalised(self._said, secrets, names) or None

    def _keep_login_out_of_the_clear(self) -> None:
        """Raise `Failure` where signing in would need no TLS: before anything is dialled."""
        if self._login is not None and self._endpoint.tls is TLSMode.NONE:
            message = "Credentials are only sent over TLS: set tls.mode to StartTLS or Implicit."
            raise Failure(ProbeStage.AUTH, Reason.ENCRYPTION_REQUIRED, message)

    def _failure(self, reason: Reason, message: str) -> Failure:
        """A verdict at the present stage."""
        return Failure(self._stage, reason, message)

    def _passing(self, reason: Reason, message: str) -> Failure:
        """An end at the present stage that is no verdict."""
        return Failure(self._stage, reason, message, conclusive=False)

    def _silent(self) -> Failure:
        message = (
            self._unended_line()
            or f"{self._place} stops answering: look at its load and at firewalls in between."
        )
        return self._passing(Reason.CONNECTION_TIMEOUT, message)

    def _line_so_far(self) -> bytes:
        """What came of a line that has not ended yet."""
        return b""

    def _unended_line(self) -> str | None:
        """Say of a server that it began to answer; None where nothing came."""
        begun = self._line_so_far()
        if begun.endswith(b"\r"):
            return (
                f"{self._place} ends its lines with a carriage return alone, which clients do not "
                "take for an end: have it send CRLF (RFC 5321 section 2.3.8, RFC 9051 section 2.2)."
            )
        if begun:
            return (
                f"{self._place} begins to answer, but does not end the line in time: look at its "
                "load and at firewalls in between."
            )
        return None

    def _no_tls(self) -> Failure:
        message = f"{self._place} accepts the connection, but no TLS: {self.where_tls_begins}."
        return self._failure(Reason.HANDSHAKE_FAILED, message)

    def _injected(self, instead: str) -> Failure:
        """More came in the clear before TLS began: it may be read as if it had come after that."""
        message = (
            f"{self._place} sends more before TLS begins than its answer to STARTTLS, as someone "
            f"in between would: {instead}, or mend the server."
        )
        return self._failure(Reason.HANDSHAKE_FAILED, message)

    async def _does_not_greet(self) -> Failure:
        """Tell a server that waits for TLS from one that waits for nothing."""
        begun = self._endpoint.tls is TLSMode.IMPLICIT or self._line_so_far()
        if not begun and (await self._sight()).version:
            message = f"{self._place} waits for TLS from the first byte: set tls.mode to Implicit."
            return self._failure(Reason.UNEXPECTED_GREETING, message)
        message = self._unended_line() or (
            f"{self._place} accepts the connection, but does not greet: look at its load, and "
            "whether it delays unknown clients."
        )
        return self._failure(Reason.CONNECTION_TIMEOUT, message)

    def _unsendable(self) -> Failure:
        """A token that no message can carry; nothing was sent."""
        message = (
            "The username or the token is empty, or holds a space or control character: correct "
            "the username, and sign in again."
        )
        return self._failure(Reason.INVALID_SPEC, message)

    def _proves_nothing(self, mechanism: str) -> Failure:
        """A yes of someone who need not know the password (RFC 5802 section 3)."""
        message = (
            f"{self._place} says yes to {mechanism}, but does not prove that it knows the "
            "password, as it must: read its log."
        )
        return self._passing(Reason.PROBE_INCONCLUSIVE, message)

    def _takes_no_token(self, offered: Sequence[str]) -> Failure:
        known = ", ".join(known_mechanisms(offered)[:8]) or "no mechanism"
        message = (
            f"{self._place} offers {known}; a token needs XOAUTH2 or OAUTHBEARER: enable one of "
            "these on the server, or use a password instead of oauth."
        )
        return self._failure(Reason.MECHANISM_UNSUPPORTED, message)

    def _broken_off(self) -> Failure:
        message = (
            f"{self._place} closes the connection: it may be overloaded or refuse our address; "
            "its log tells."
        )
        return self._passing(Reason.PROBE_INCONCLUSIVE, message)

    async def _gone(self, error: BaseException | None, prelude: Prelude | None = None) -> Failure:
        """Say why a connection ended between commands.

        In TLS 1.3 a client is refused for its certificate only after its handshake is over: what
        it reads first is the refusal (RFC 8446 section 4.4.2.4).
        """
        early = self._stage in (ProbeStage.GREETING, ProbeStage.CAPABILITIES)
        if self._tls is None or self._tls.version != "TLSv1.3" or not early:
            return self._broken_off()
        cause = error.__cause__ or error if error is not None else None
        said = cause is not None and tls.is_wanting_certificate(cause)
        if said or (await self._sight(prelude)).wants_certificate:
            return tls.wants_certificate(self._place)
        return self._broken_off()

    async def _tls_failure(self, error: BaseException, prelude: Prelude | None = None) -> Failure:
        """Name the cause of a failed handshake; shake hands once more to see it."""
        sight = await self._sight(prelude)
        if isinstance(error, ssl.SSLCertVerificationError):
            self._tls = sight.facts
        return tls.failure_of(error, self._endpoint, self._tls, self.where_tls_begins, sight)

    async def _sight(self, prelude: Prelude | None = None) -> Sight:
        """Connect once more to see what there is, whatever we would accept of it."""
        try:
            async with asyncio.timeout(self._deadlines.tls):
                connection = await self._dialler.dial(self._endpoint)
                try:
                    if prelude is None or await prelude(connection):
                        return await look(connection, self._endpoint)
                finally:
                    connection.close()
        except (Failure, TimeoutError, OSError):
            pass
        return Sight()


def recognised(text: str, implementations: Iterable[tuple[str, str]]) -> str | None:
    """Return the implementation whose mark a server's greeting holds."""
    lowered = text.lower()
    return next((name for mark, name in implementations if mark in lowered), None)
