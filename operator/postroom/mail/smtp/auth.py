# SPDX-License-Identifier: Apache-2.0
"""Sessions over SMTP that are signed in, by one attempt with one mechanism; and the check."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiosmtplib import SMTPResponse

from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.reasons import Reason
from postroom.mail.connect import tls
from postroom.mail.connect.dial import Failure
from postroom.mail.replies import Meaning, Stage, enhanced_code, meaning_of_smtp
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.session import sasl
from postroom.mail.session.capabilities import known_mechanisms
from postroom.mail.session.scram import SCRAM, ScramExchange
from postroom.mail.session.state import Connector, SessionState
from postroom.mail.smtp.client import SmtpClient
from postroom.mail.smtp.session import SmtpSession

#: RFC 4954 section 4.
_ACCEPTED = 235


#: The ports of RFC 6409 and RFC 8314, and those that stand for them where networks block these.
_SUBMISSION = frozenset({465, 587, 2465, 2587})
#: The remedy where a server does not begin with TLS.
_WHERE_TLS_BEGINS = "set tls.mode to StartTLS, or use the port for implicit TLS (465)"


def state_of(endpoint: Endpoint, login: Login | None, connector: Connector) -> SessionState:
    """The state of a session that is about to begin."""
    return SessionState(endpoint, login, connector, _WHERE_TLS_BEGINS)


async def check(endpoint: Endpoint, login: Login | None, connector: Connector) -> ProbeReport:
    """Connect, secure, greet, read capabilities, authenticate once if asked, and quit."""
    state = state_of(endpoint, login, connector)
    async with state.reported(), signed_in(state):
        pass
    return state.report()


@asynccontextmanager
async def signed_in(state: SessionState) -> AsyncIterator[SmtpSession]:
    """A session that is secured, and signed in if there is a login; raises `Failure`."""
    state.keep_login_out_of_the_clear()
    endpoint = state.endpoint
    connection: socket.socket | None = None
    client: SmtpClient | None = None
    try:
        # An operation's time must not be what slow greetings leave of it.
        async with state.lasting(state.deadlines.total):
            context = None
            if endpoint.tls is not TLSMode.NONE:
                context = await state.connector.trust.context(endpoint.ca_bundle)
            implicit = context if endpoint.tls is TLSMode.IMPLICIT else None
            connection = await state.dial()
            client = SmtpClient(endpoint, connection, implicit)
            session = SmtpSession(state, client)
            await session.introduce(context)
            if state.login is not None:
                present = _present_token if state.login.token else _present_password
                async with state.signing_in():
                    await present(session, state.login, session.mechanisms())
                    state.authenticated = True
        yield session
        client.say_goodbye()
    finally:
        if client is not None:
            client.close()
        if connection is not None:
            await tls.let_go(None, connection)


async def _present_password(session: SmtpSession, login: Login, offered: list[str]) -> None:
    mechanism = next((name for name in (*sasl.SENDING, *sasl.PROVING) if name in offered), None)
    if mechanism is None:
        raise _no_mechanism(session, offered)
    exchange = ScramExchange(mechanism, login) if mechanism in SCRAM else None
    answer = (
        session.client.auth_scram(exchange)
        if exchange is not None
        else session.client.auth_password(mechanism, login)
    )
    reply = await session.within(ProbeStage.AUTH, session.state.deadlines.auth, answer)
    if not _accepts(reply):
        raise _refused(session, reply.code, reply.message, login)
    if exchange is not None and not exchange.verified:
        raise session.state.proves_nothing(mechanism)


async def _present_token(session: SmtpSession, login: Login, offered: list[str]) -> None:
    try:
        exchange = sasl.token_exchange(offered, session.state.endpoint, login)
    except ValueError:
        raise session.state.unsendable() from None
    if exchange is None:
        raise session.state.takes_no_token(offered) if offered else _no_mechanism(session, offered)
    try:
        answer = session.client.auth_token(exchange)
        reply = await session.within(ProbeStage.AUTH, session.state.deadlines.auth, answer)
    except Failure:
        # A server may hang up once it has said why.
        meaning = sasl.meaning_of_refusal(sasl.refusal_in(session.client.challenge))
        if meaning is None:
            raise
        raise _rejected(session, "a refusal", meaning, session.client.challenge) from None
    if not _accepts(reply):
        raise _refused(session, reply.code, reply.message, login, session.client.challenge)


def _accepts(reply: SMTPResponse) -> bool:
    """Whether a reply accepts a login, and its enhanced code, which must be of the same class (RFC
    2034 section 4), does not deny that."""
    return reply.code == _ACCEPTED and (enhanced_code(reply.message) or "2").startswith("2")


def _no_mechanism(session: SmtpSession, offered: list[str]) -> Failure:
    if not offered:
        lacks = session.lacks("offers no")
        wrong = f"{session.state.place} {lacks} AUTH:"
        fix = "use the submission port (587 or 465)."
        if session.state.endpoint.port in _SUBMISSION:
            fix = "have AUTH enabled on the server for this port, which is one for submission."
        return session.state.failure(Reason.CAPABILITY_MISSING, wrong, fix)
    shown = ", ".join(known_mechanisms(offered)[:8]) or "others"
    told = sasl.none_known(f"{session.state.place} offers only {shown}")
    return session.state.failure(Reason.MECHANISM_UNSUPPORTED, *told)


def _refused(
    session: SmtpSession, code: int, text: str, login: Login, challenge: str | None = None
) -> Failure:
    if not 400 <= code <= 599:
        return session.no_verdict(text)
    session.state.said = text
    about = sasl.circumstances(Stage.AUTH, session.state.endpoint, login)
    # AUTH is sent to no server that does not offer it.
    about = replace(about, offered=True)
    meaning = sasl.with_refusal(meaning_of_smtp(code, text, about), sasl.refusal_in(challenge))
    enhanced = enhanced_code(text)
    answer = f"{code} {enhanced}" if enhanced else str(code)
    failure = _rejected(session, answer, meaning, challenge)
    failure.code, failure.enhanced_code = code, enhanced
    return failure


def _rejected(
    session: SmtpSession, answer: str, meaning: Meaning, challenge: str | None
) -> Failure:
    """What an answer to AUTH means."""
    session.state.authenticated = False if meaning.counts_as_refusal else None
    status = sasl.status_of(sasl.refusal_in(challenge))
    said = f"{answer} ({status})" if status else answer
    return Failure(
        ProbeStage.AUTH,
        meaning.reason,
        f"{session.state.place} answers AUTH with {said}.",
        conclusive=meaning.conclusive,
        retry_after=meaning.wait,
        cause=meaning.cause.value,
        needs_someone=meaning.needs_someone,
        unclear=meaning.unclear,
        fix=meaning.hint,
    )
