# SPDX-License-Identifier: Apache-2.0
"""The SMTP probe: connect, secure, greet, read capabilities, authenticate once, quit. No mail.

aiosmtplib under four rules: never ``login()`` (it tries every mechanism), never
``start_tls=None`` (it would go on in the clear), a socket that we dialled, deadlines of ours.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosmtplib

from postroom.api.mailserver import ProbeStage, ServerFacts, TLSFacts, TLSMode
from postroom.api.reasons import Reason
from postroom.mail import tls
from postroom.mail.dial import Deadlines, Dialler, Failure
from postroom.mail.replies import enhanced_code, meaning_of_smtp
from postroom.mail.report import Endpoint, Login, ProbeReport

#: What we say in EHLO: a name that is no one's (RFC 6761); the pod's is nobody's business.
LOCAL_HOSTNAME = "postroom.invalid"
#: In the order of preference; one attempt with one of them.
_MECHANISMS = ("plain", "login", "cram-md5")
#: Greeting or EHLO text -> implementation.
_IMPLEMENTATIONS = (
    ("postfix", "Postfix"),
    ("exim", "Exim"),
    ("dovecot", "Dovecot"),
    ("gsmtp", "Gmail"),
    ("microsoft esmtp", "Microsoft Exchange"),
    ("amazon", "Amazon SES"),
    ("sendgrid", "SendGrid"),
    ("haraka", "Haraka"),
    ("opensmtpd", "OpenSMTPD"),
    ("stalwart", "Stalwart"),
    ("sendmail", "Sendmail"),
    ("postroom lab", "postroom lab"),
)


class SmtpProbe:
    """One probe of one endpoint; `run` once."""

    def __init__(
        self, endpoint: Endpoint, login: Login | None, dialler: Dialler, trust: tls.TrustStore
    ) -> None:
        self._endpoint = endpoint
        self._login = login
        self._dialler = dialler
        self._trust = trust
        self._server: ServerFacts | None = None
        self._tls: TLSFacts | None = None
        self._authenticated: bool | None = None

    @property
    def _deadlines(self) -> Deadlines:
        return self._dialler.deadlines

    async def run(self) -> ProbeReport:
        """Probe; every failure of server or network is in the report."""
        try:
            await self._talk()
        except Failure as failure:
            return ProbeReport(
                stage=failure.stage,
                reason=failure.reason,
                message=failure.message,
                conclusive=failure.conclusive,
                authenticated=self._authenticated,
                code=failure.code,
                enhanced_code=failure.enhanced_code,
                server=self._server,
                tls=self._tls,
            )
        return ProbeReport(
            stage=ProbeStage.DONE,
            reason=Reason.PROBE_SUCCEEDED,
            message=f"{self._place} works.",
            conclusive=True,
            authenticated=self._authenticated,
            server=self._server,
            tls=self._tls,
        )

    @property
    def _place(self) -> str:
        return f"{self._endpoint.host}:{self._endpoint.port}"

    async def _talk(self) -> None:
        if self._login is not None and self._endpoint.tls is TLSMode.NONE:
            message = "Credentials are only sent over TLS: set tls.mode to StartTLS or Implicit."
            raise Failure(ProbeStage.AUTH, Reason.ENCRYPTION_REQUIRED, message)
        context = None
        if self._endpoint.tls is not TLSMode.NONE:
            context = await self._trust.context(self._endpoint.ca_bundle)
        connection = await self._dialler.dial(self._endpoint)
        client = self._client(connection, context)
        try:
            greeting = await self._greet(client)
            await self._capabilities(client, greeting)
            if self._endpoint.tls is TLSMode.START_TLS:
                assert context is not None  # noqa: S101 - for the type checker
                await self._start_tls(client, context)
                await self._capabilities(client, greeting)
            if self._login is not None:
                await self._authenticate(client, self._login)
            await _quit(client)
        finally:
            await _drop(client, connection)

    def _client(self, connection: socket.socket, context: ssl.SSLContext | None) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            # Only for SNI and verification: the socket is connected already.
            hostname=self._endpoint.server_name,
            port=None,
            sock=connection,
            use_tls=self._endpoint.tls is TLSMode.IMPLICIT,
            start_tls=False,
            tls_context=context,
            local_hostname=LOCAL_HOSTNAME,
            timeout=self._deadlines.total,
        )

    async def _greet(self, client: aiosmtplib.SMTP) -> str:
        """Connect (with TLS, if implicit) and read the greeting."""
        implicit = self._endpoint.tls is TLSMode.IMPLICIT
        try:
            async with asyncio.timeout(self._deadlines.greeting):
                response = await client.connect()
        except aiosmtplib.SMTPConnectResponseError as error:
            raise self._greeting_refused(error.code, error.message) from None
        except aiosmtplib.SMTPResponseException:
            raise self._not_smtp() from None
        except TimeoutError:
            raise self._silent(ProbeStage.TLS if implicit else ProbeStage.GREETING) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
            if implicit and (isinstance(cause, ssl.SSLError) or client.transport is None):
                raise await self._tls_failure(cause) from None
            raise self._not_smtp() from None
        if implicit:
            self._tls = tls.facts_of(client.get_transport_info("ssl_object"))
        return response.message

    def _greeting_refused(self, code: int, text: str) -> Failure:
        passing = 400 <= code < 500
        return Failure(
            ProbeStage.GREETING,
            Reason.SERVICE_UNAVAILABLE,
            f"{self._place} greets with {code}: "
            + (
                "it is not available now."
                if passing
                else "it refuses this client; its operator may have blocked our address."
            ),
            code=code,
            enhanced_code=enhanced_code(text),
        )

    def _not_smtp(self) -> Failure:
        message = (
            f"What answers at {self._place} is no SMTP server: correct host, port or tls.mode."
        )
        return Failure(ProbeStage.GREETING, Reason.UNEXPECTED_GREETING, message)

    def _silent(self, stage: ProbeStage) -> Failure:
        if stage is ProbeStage.TLS:
            message = (
                f"{self._place} accepts the connection, but no TLS: set tls.mode to StartTLS, or "
                "use the port for implicit TLS (465)."
            )
            return Failure(stage, Reason.HANDSHAKE_FAILED, message)
        hint = (
            " It may wait for TLS: set tls.mode to Implicit."
            if self._endpoint.port in (465, 2465)
            else ""
        )
        message = f"{self._place} accepts the connection, but says nothing.{hint}"
        return Failure(stage, Reason.CONNECTION_TIMEOUT, message)

    async def _tls_failure(self, error: BaseException) -> Failure:
        """Name the cause of a failed handshake; look at the certificate again if it helps."""
        if isinstance(error, ssl.SSLCertVerificationError):
            self._tls = await self._certificate()
        return tls.failure_of(error, self._endpoint, self._tls)

    async def _certificate(self) -> TLSFacts | None:
        try:
            async with asyncio.timeout(self._deadlines.tls):
                connection = await self._dialler.dial(self._endpoint)
                if self._endpoint.tls is TLSMode.START_TLS and not await _ask_for_tls(connection):
                    connection.close()
                    return None
                return await tls.look_at_certificate(connection, self._endpoint)
        except (Failure, TimeoutError, OSError):
            return None

    async def _capabilities(self, client: aiosmtplib.SMTP, greeting: str) -> None:
        async with self._stage(ProbeStage.CAPABILITIES, self._deadlines.command):
            response = await client.ehlo()
        offered = sorted(one.upper()[:256] for one in client.esmtp_extensions)
        size = re.match(r"\d{1,12}", client.esmtp_extensions.get("size", ""))
        self._server = ServerFacts(
            implementation=_implementation(f"{greeting} {response.message}"),
            capabilities=offered[:64],
            auth_mechanisms=sorted(one.upper()[:256] for one in client.server_auth_methods)[:32],
            max_message_size=int(size[0]) if size else None,
        )

    async def _start_tls(self, client: aiosmtplib.SMTP, context: ssl.SSLContext) -> None:
        if not client.supports_extension("starttls"):
            message = (
                f"{self._place} does not offer STARTTLS, and nothing is sent in the clear: correct "
                "the port, or set tls.mode to Implicit."
            )
            raise Failure(ProbeStage.CAPABILITIES, Reason.START_TLS_NOT_OFFERED, message)
        try:
            async with asyncio.timeout(self._deadlines.tls):
                response = await client.starttls(
                    server_hostname=self._endpoint.server_name, tls_context=context
                )
        except TimeoutError:
            message = f"TLS with {self._place} could not be negotiated in time."
            raise Failure(
                ProbeStage.TLS, Reason.HANDSHAKE_FAILED, message, conclusive=False
            ) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise await self._tls_failure(cause) from None
        if response.code != 220:
            message = f"{self._place} offers STARTTLS, but refuses it: mend its TLS settings."
            raise Failure(ProbeStage.TLS, Reason.HANDSHAKE_FAILED, message, code=response.code)
        self._tls = tls.facts_of(client.get_transport_info("ssl_object"))

    async def _authenticate(self, client: aiosmtplib.SMTP, login: Login) -> None:
        offered = [one.lower() for one in client.server_auth_methods]
        mechanism = next((one for one in _MECHANISMS if one in offered), None)
        if mechanism is None:
            raise self._no_mechanism(sorted(offered))
        attempt = {
            "plain": client.auth_plain,
            "login": client.auth_login,
            "cram-md5": client.auth_crammd5,
        }[mechanism]
        try:
            async with self._stage(ProbeStage.AUTH, self._deadlines.auth):
                await attempt(login.username, login.password.reveal())
        except aiosmtplib.SMTPAuthenticationError as error:
            raise self._refused(error.code, error.message) from None
        self._authenticated = True

    def _no_mechanism(self, offered: list[str]) -> Failure:
        if not offered:
            message = f"{self._place} offers no AUTH: use the submission port (587 or 465)."
            return Failure(ProbeStage.AUTH, Reason.CAPABILITY_MISSING, message)
        known = ", ".join(one.upper() for one in offered if re.fullmatch(r"[a-z0-9_-]{1,20}", one))
        message = f"{self._place} offers only {known}; postroom knows PLAIN, LOGIN and CRAM-MD5."
        return Failure(ProbeStage.AUTH, Reason.MECHANISM_UNSUPPORTED, message)

    def _refused(self, code: int, text: str) -> Failure:
        meaning = meaning_of_smtp(code, text)
        enhanced = enhanced_code(text)
        answer = f"{code} {enhanced}" if enhanced else str(code)
        self._authenticated = False if meaning.conclusive else None
        return Failure(
            ProbeStage.AUTH,
            meaning.reason,
            f"{self._place} answers AUTH with {answer}. {meaning.hint}",
            conclusive=meaning.conclusive,
            code=code,
            enhanced_code=enhanced,
        )

    @asynccontextmanager
    async def _stage(self, stage: ProbeStage, seconds: float) -> AsyncIterator[None]:
        """Bound a stage, and turn what goes wrong on the way into its failure."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except aiosmtplib.SMTPAuthenticationError:
            raise
        except TimeoutError:
            message = f"{self._place} stopped answering."
            raise Failure(stage, Reason.CONNECTION_TIMEOUT, message, conclusive=False) from None
        except aiosmtplib.SMTPResponseException as error:
            if 0 < error.code < 600:
                unavailable = error.code == 421
                message = f"{self._place} answers with {error.code}."
                raise Failure(
                    stage,
                    Reason.SERVICE_UNAVAILABLE if unavailable else Reason.CAPABILITY_MISSING,
                    message,
                    conclusive=error.code >= 500,
                    code=error.code,
                ) from None
            raise self._not_smtp() from None
        except (aiosmtplib.SMTPException, OSError, ValueError):
            message = f"{self._place} closed the connection."
            raise Failure(stage, Reason.PROBE_INCONCLUSIVE, message, conclusive=False) from None


async def _quit(client: aiosmtplib.SMTP) -> None:
    """Say goodbye without waiting: the verdict stands."""
    if client.transport is not None and not client.transport.is_closing():
        client.transport.write(b"QUIT\r\n")  # type: ignore[attr-defined]


async def _drop(client: aiosmtplib.SMTP, connection: socket.socket) -> None:
    """Let go of the connection at once.

    The socket is closed by the transport that owns it, never beneath it: a number that the system
    gives to the next socket while the loop still watches it would mix up two probes.
    """
    transport = client.transport
    client.close()
    if transport is None:
        connection.close()
    elif isinstance(transport, asyncio.WriteTransport):
        transport.abort()
    # One turn of the loop, in which the transport closes its socket.
    await asyncio.sleep(0)


async def _ask_for_tls(connection: socket.socket) -> bool:
    """Bring a plain connection to the point where TLS begins."""
    loop = asyncio.get_running_loop()

    async def reply() -> bytes:
        text = b""
        while not re.search(rb"(?m)^\d{3} .*\r?\n\Z", text) and len(text) < 65536:
            more = await loop.sock_recv(connection, 4096)
            if not more:
                return b""
            text += more
        return text

    for command in (b"", f"EHLO {LOCAL_HOSTNAME}\r\n".encode(), b"STARTTLS\r\n"):
        if command:
            await loop.sock_sendall(connection, command)
        if not (await reply()).startswith(b"2"):
            return False
    return True


def _implementation(text: str) -> str | None:
    lowered = text.lower()
    return next((name for mark, name in _IMPLEMENTATIONS if mark in lowered), None)
