# SPDX-License-Identifier: Apache-2.0
"""What sessions of both protocols share: how far they came, and the report at the end."""

import math
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSFacts, TLSMode
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.concurrency.patience import PeerDeadline
from postroom.concurrency.shortage import Shortage, shortage_in
from postroom.concurrency.tls_faults import TLSFault, fault_in
from postroom.mail.connect import tls
from postroom.mail.connect.dial import Deadlines, Dialler, Failure, starved
from postroom.mail.connect.guard import same_for_all_spellings
from postroom.mail.connect.handshake import Sight, look
from postroom.mail.limits.peers import RefusingPeers
from postroom.mail.replies import normalised
from postroom.mail.report import Endpoint, Login, Mailbox, ProbeReport
from postroom.mail.session.capabilities import known_mechanisms
from postroom.mail.session.echo_filter import EchoFilter

#: Brings a connection to the point where TLS begins; False where it does not get there.
Prelude = Callable[[socket.socket], Awaitable[bool]]
BeforeLogin = Callable[[], None]
#: Seconds.
_LEAST_PAUSE = 60
_LOAD = "look at its load and at firewalls in between."


@dataclass(frozen=True, slots=True)
class Connector:
    """What a session reaches servers by: whom it may dial, and whom it trusts.

    `before_login` is called before a login is sent, and may end the session by what it raises.
    `places` bound the logins that an address may refuse a namespace.
    """

    dialler: Dialler
    trust: tls.TrustStore
    before_login: BeforeLogin = field(default=lambda: None)
    places: RefusingPeers = field(default_factory=lambda: RefusingPeers(time.monotonic))


def cooling_down(host: str, seconds: float | None) -> Failure:
    """The end of a session before its login is sent: too many were refused, or (None) may be yet.

    No verdict.
    """
    if seconds is None:
        return Failure(
            ProbeStage.AUTH,
            Reason.HOST_AUTH_COOLDOWN,
            f"Signing in at {host} waits for logins at the same address whose outcome is not "
            "known: more that were refused might lock out other accounts.",
            conclusive=False,
            retry_after=timedelta(seconds=_LEAST_PAUSE),
        )
    return Failure(
        ProbeStage.AUTH,
        Reason.HOST_AUTH_COOLDOWN,
        f"Signing in at {host} pauses: it has refused too many credentials lately, and might lock "
        "out other accounts.",
        conclusive=False,
        retry_after=timedelta(seconds=max(math.ceil(seconds), _LEAST_PAUSE)),
    )


class SessionState:
    """How far one session came, and what was seen on the way: what its report is made of.

    `where_tls_begins` is the remedy where implicit TLS is asked for and the server does not begin
    with TLS.
    """

    def __init__(
        self, endpoint: Endpoint, login: Login | None, connector: Connector, where_tls_begins: str
    ) -> None:
        self.endpoint, self.login, self.connector = endpoint, login, connector
        self.where_tls_begins = where_tls_begins
        names = (endpoint.host, endpoint.server_name)
        self.echo_filter = EchoFilter(login.password if login else Masked(""), names)
        self.stage = ProbeStage.RESOLVE
        self.server: ServerFacts | None = None
        self.tls: TLSFacts | None = None
        self.authenticated: bool | None = None
        self.mailbox: Mailbox | None = None
        #: What the server said last when it refused something; never shown as it is.
        self.said: str | None = None
        #: What it told beside its answers, which may be why; never shown as it is, either.
        self.beside: Callable[[], Sequence[str]] = tuple
        #: Those of that which a user must see where nothing is wrong, too.
        self.alerts: Callable[[], Sequence[str]] = tuple
        #: What came of a line that has not ended yet.
        self.line_so_far: Callable[[], bytes] = bytes
        self._end: Failure | None = None
        self._peer: str | None = None
        #: Those that are running for several stages together.
        self._running: list[PeerDeadline] = []

    async def dial(self) -> socket.socket:
        """Connect; raises `Failure`."""
        connection = await self.connector.dialler.dial(self.endpoint)
        with suppress(OSError):  # it may be over already
            peer = next(iter(connection.getpeername()), None)
            self._peer = same_for_all_spellings(peer) if peer is not None else None
        return connection

    @property
    def deadlines(self) -> Deadlines:
        return self.connector.dialler.deadlines

    @property
    def place(self) -> str:
        return f"{self.endpoint.host}:{self.endpoint.port}"

    @asynccontextmanager
    async def lasting(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError where stages take the server longer than this together."""
        async with PeerDeadline(seconds) as deadline:
            self._running.append(deadline)
            try:
                yield
            finally:
                self._running.remove(deadline)

    @asynccontextmanager
    async def reported(self) -> AsyncIterator[None]:
        """Keep how the session ends for `report`: every failure of server or network."""
        try:
            yield
            self._end = Failure(ProbeStage.DONE, Reason.PROBE_SUCCEEDED, f"{self.place} works.")
        except Failure as failure:
            self._end = failure
        except Shortage as lack:
            self._end = starved(self.stage, lack)
        except TimeoutError:
            wrong = f"{self.place} answers too slowly to be checked:"
            self._end = self.passing(Reason.CONNECTION_TIMEOUT, wrong, "look at its load.")

    def report(self) -> ProbeReport:
        """How the session ended, once it did; without what the server repeats of the password."""
        end = self._end or self.broken_off()
        return ProbeReport(
            stage=end.stage,
            reason=end.reason,
            wrong=self.echo_filter.sentence(end.wrong, self.tls),
            conclusive=end.conclusive,
            authenticated=self.authenticated,
            code=end.code,
            enhanced_code=end.enhanced_code,
            server=self.server,
            tls=self.echo_filter.certificate(self.tls),
            mailbox=self.echo_filter.mailbox(self.mailbox),
            retry_after=end.retry_after,
            cause=end.cause,
            server_text=self._told(end),
            fix=self.echo_filter.sentence(end.fix, self.tls),
            needs_someone=end.needs_someone,
            unclear=end.unclear,
        )

    def _told(self, end: Failure) -> str | None:
        """The server's words in a form that may be shown: its answer, if that was the end, and what
        it told beside its answers, of which alerts alone count where all went well; None where
        there are none."""
        answer = [self.said] if end.cause is not None and self.said is not None else []
        # What speaks another protocol is not shown at all.
        beside: Sequence[str] = ()
        if end.stage is ProbeStage.DONE:
            beside = self.alerts()
        elif end.reason is not Reason.UNEXPECTED_GREETING:
            beside = self.beside()
        login = self.login
        secrets, names = ((login.password,), (login.username,)) if login else ((), ())
        said = "\n".join(dict.fromkeys([*answer, *beside]))
        return normalised(said, secrets, names) or None

    def keep_login_out_of_the_clear(self) -> None:
        """Raise `Failure` where signing in would need no TLS: before anything is dialled."""
        if self.login is not None and self.endpoint.tls is TLSMode.NONE:
            raise Failure(
                ProbeStage.AUTH,
                Reason.ENCRYPTION_REQUIRED,
                "Credentials are only sent over TLS:",
                fix="set tls.mode to StartTLS or Implicit.",
            )

    @asynccontextmanager
    async def signing_in(self) -> AsyncIterator[None]:
        """The stage in which the login is sent, and its outcome is heard; raises `Failure`."""
        self.stage = ProbeStage.AUTH
        places, where = self.connector.places, (self.endpoint.namespace, self._peer)
        pause = places.reserve_at_once(*where)
        if pause is None:
            # A limit of ours: the server has said all that it has to say meanwhile.
            with ExitStack() as waiting:
                for deadline in self._running:
                    waiting.enter_context(deadline.left_out())
                pause = await places.reserve(*where)
        if pause != 0:
            raise cooling_down(self.endpoint.host, pause)
        try:
            self.connector.before_login()
            yield
        finally:
            places.settle(*where, refused=self.authenticated is False)

    def failure(self, reason: Reason, wrong: str, fix: str) -> Failure:
        """A verdict at the present stage."""
        return Failure(self.stage, reason, wrong, fix=fix)

    def passing(self, reason: Reason, wrong: str, fix: str) -> Failure:
        """An end at the present stage that is no verdict."""
        return Failure(self.stage, reason, wrong, conclusive=False, fix=fix)

    def silent(self) -> Failure:
        usual = f"{self.place} stops answering:", _LOAD
        return self.passing(Reason.CONNECTION_TIMEOUT, *(self._unended_line() or usual))

    def _unended_line(self) -> tuple[str, str] | None:
        """What is wrong with a server that began to answer, and what to do; None where nothing
        came."""
        begun = self.line_so_far()
        if begun.endswith(b"\r"):
            wrong = "ends its lines with a carriage return alone, which clients do not take for an"
            fix = "have it send CRLF (RFC 5321 section 2.3.8, RFC 9051 section 2.2)."
            return f"{self.place} {wrong} end:", fix
        if begun:
            return f"{self.place} begins to answer, but does not end the line in time:", _LOAD
        return None

    def no_answer_to_tls(self) -> Failure:
        """Silence where TLS begins at once: of a server that is slow, or waits for something else.

        One that speaks in the clear is not silent: its greeting is no TLS.
        """
        wrong = f"{self.place} accepts the connection, but does not answer the TLS handshake:"
        fix = f"look at its load; where it has none, {self.where_tls_begins}."
        return self.failure(Reason.CONNECTION_TIMEOUT, wrong, fix)

    def unfinished_tls(self) -> Failure:
        wrong = f"{self.place} offers STARTTLS, but does not finish it:"
        return self.passing(Reason.HANDSHAKE_FAILED, wrong, "look at its load.")

    def injected(self, instead: str) -> Failure:
        """More came in the clear before TLS began: it may be read as if it had come after that."""
        wrong = (
            f"{self.place} sends more before TLS begins than its answer to STARTTLS, as someone "
            "in between would:"
        )
        return self.failure(Reason.HANDSHAKE_FAILED, wrong, f"{instead}, or mend the server.")

    async def does_not_greet(self) -> Failure:
        """The end before a greeting: the server waits for TLS, or for nothing."""
        begun = self.endpoint.tls is TLSMode.IMPLICIT or self.line_so_far()
        if not begun and (await self._sight()).version:
            wrong = f"{self.place} waits for TLS from the first byte:"
            return self.failure(Reason.UNEXPECTED_GREETING, wrong, "set tls.mode to Implicit.")
        usual = (
            f"{self.place} accepts the connection, but does not greet:",
            "look at its load, and whether it delays unknown clients.",
        )
        return self.failure(Reason.CONNECTION_TIMEOUT, *(self._unended_line() or usual))

    def unsendable(self) -> Failure:
        """A token that no message can carry; nothing was sent."""
        wrong = "The username or the token is empty, or holds a space or control character:"
        fix = "correct the username, and sign in again."
        return self.failure(Reason.INVALID_SPEC, wrong, fix)

    def proves_nothing(self, mechanism: str) -> Failure:
        """A yes of someone who need not know the password (RFC 5802 section 3)."""
        wrong = (
            f"{self.place} says yes to {mechanism}, but does not prove that it knows the "
            "password, as it must:"
        )
        return self.passing(Reason.PROBE_INCONCLUSIVE, wrong, "read its log.")

    def takes_no_token(self, offered: Sequence[str]) -> Failure:
        known = ", ".join(known_mechanisms(offered)[:8]) or "no mechanism"
        wrong = f"{self.place} offers {known}; a token needs XOAUTH2 or OAUTHBEARER:"
        fix = "enable XOAUTH2 or OAUTHBEARER on the server, or use a password instead of oauth."
        return self.failure(Reason.MECHANISM_UNSUPPORTED, wrong, fix)

    def broken_off(self) -> Failure:
        fix = "it may be overloaded or refuse our address; its log tells."
        return self.passing(Reason.PROBE_INCONCLUSIVE, f"{self.place} closes the connection:", fix)

    async def gone(self, error: BaseException | None, prelude: Prelude | None = None) -> Failure:
        """Why a connection ended between commands.

        In TLS 1.3 a client is refused for its certificate only after its handshake is over: what
        it reads first is the refusal (RFC 8446 section 4.4.2.4).
        """
        if (lack := shortage_in(error)) is not None:
            return starved(self.stage, lack)
        early = self.stage in (ProbeStage.GREETING, ProbeStage.CAPABILITIES)
        if self.tls is None or self.tls.version != "TLSv1.3" or not early:
            return self.broken_off()
        cause = error.__cause__ or error if error is not None else None
        said = cause is not None and fault_in(cause) is TLSFault.CERTIFICATE_WANTED
        if said or (await self._sight(prelude)).wants_certificate:
            return tls.wants_certificate(self.place)
        return self.broken_off()

    async def tls_failure(self, error: BaseException, prelude: Prelude | None = None) -> Failure:
        """Why a handshake failed, seen by shaking hands once more."""
        if (lack := shortage_in(error)) is not None:
            return starved(ProbeStage.TLS, lack)
        sight = await self._sight(prelude)
        if isinstance(error, ssl.SSLCertVerificationError):
            self.tls = sight.facts
        return tls.failure_of(error, self.endpoint, self.tls, self.where_tls_begins, sight)

    async def _sight(self, prelude: Prelude | None = None) -> Sight:
        """Connect once more to see what there is, whatever we would accept of it."""
        try:
            async with PeerDeadline(self.deadlines.tls):
                connection = await self.connector.dialler.dial(self.endpoint)
                try:
                    if prelude is None or await prelude(connection):
                        return await look(connection, self.endpoint)
                finally:
                    connection.close()
        except Failure as failure:
            if failure.reason is Reason.RESOURCES_EXHAUSTED:
                raise
        except (TimeoutError, OSError) as error:
            if (lack := shortage_in(error)) is not None:
                raise lack from None
        return Sight()


def recognised(text: str, implementations: Iterable[tuple[str, str]]) -> str | None:
    """The implementation whose mark a server's greeting holds."""
    lowered = text.lower()
    return next((name for mark, name in implementations if mark in lowered), None)
