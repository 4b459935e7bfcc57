# SPDX-License-Identifier: Apache-2.0
"""Sessions over IMAP that are signed in, by one attempt with one mechanism."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.reasons import Reason
from postroom.concurrency.patience import PeerDeadline
from postroom.concurrency.shortage import shortage_in
from postroom.mail.connect import tls
from postroom.mail.connect.certificate import facts_of
from postroom.mail.connect.dial import Failure, starved
from postroom.mail.imap import text
from postroom.mail.imap.notices import notices_in
from postroom.mail.imap.protocol import GuardedProtocol
from postroom.mail.imap.session import ImapSession, text_of
from postroom.mail.replies import Cause, Meaning, Stage, as_text
from postroom.mail.report import Endpoint, Login
from postroom.mail.session import sasl
from postroom.mail.session.capabilities import known_mechanisms
from postroom.mail.session.state import Connector, SessionState

#: The remedy where a server does not begin with TLS.
_WHERE_TLS_BEGINS = "use the port for implicit TLS (993)"
#: Notices beside an answer to the login that are read.
_NOTICES_LIMIT = 4
#: What stands for a refusal that says no more than that.
_BARE = frozenset({Cause.AUTHENTICATION_FAILED, Cause.OAUTH_TOKEN_REJECTED})


def state_of(endpoint: Endpoint, login: Login | None, connector: Connector) -> SessionState:
    """The state of a session that is about to begin."""
    return SessionState(endpoint, login, connector, _WHERE_TLS_BEGINS)


@asynccontextmanager
async def signed_in(state: SessionState) -> AsyncIterator[ImapSession]:
    """A session that is secured, and signed in if there is a login; raises `Failure`."""
    state.keep_login_out_of_the_clear()
    endpoint = state.endpoint
    protocol: GuardedProtocol | None = None
    try:
        # An operation's time must not be what slow greetings leave of it.
        async with state.lasting(state.deadlines.total):
            context = None
            if endpoint.tls is not TLSMode.NONE:
                context = await state.connector.trust.context(endpoint.ca_bundle)
            implicit = context if endpoint.tls is TLSMode.IMPLICIT else None
            protocol = await _connect(state, implicit)
            session = ImapSession(state, protocol)
            await session.introduce(context)
            if state.login is not None:
                async with state.signing_in():
                    await _authenticate(session, state.login)
        yield session
        # Not awaited: the verdict stands.
        protocol.send("zz LOGOUT")
    finally:
        if protocol is not None:
            protocol.abort()
            # One turn of the loop, in which the transport closes its socket.
            await asyncio.sleep(0)


async def _connect(state: SessionState, implicit: ssl.SSLContext | None) -> GuardedProtocol:
    connection = await state.dial()
    state.stage = ProbeStage.GREETING if implicit is None else ProbeStage.TLS
    try:
        async with PeerDeadline(state.deadlines.tls):
            _, protocol = await asyncio.get_running_loop().create_connection(
                GuardedProtocol,
                sock=connection,
                ssl=implicit,
                server_hostname=state.endpoint.server_name if implicit else None,
            )
    except TimeoutError:
        await tls.let_go(None, connection)
        raise state.no_answer_to_tls() from None
    except OSError as error:
        await tls.let_go(None, connection)
        raise await state.tls_failure(error) from None
    except BaseException:
        await tls.let_go(None, connection)
        raise
    state.tls = facts_of(protocol.secured)
    return protocol


async def _authenticate(session: ImapSession, login: Login) -> None:
    """Sign in once with one mechanism, and learn the capabilities that are told on success."""
    state, protocol = session.state, session.protocol
    command = _command(session, login)
    try:
        signing_in = protocol.run(command.name, *command.arguments, answers=command.answers)
        result, lines = await session.within(ProbeStage.AUTH, state.deadlines.auth, signing_in)
    except Failure:
        # A server may hang up once it has said why.
        meaning = (
            sasl.meaning_of_refusal(sasl.refusal_in(protocol.challenge)) if login.token else None
        )
        if meaning is None:
            raise
        raise _rejected(session, "a refusal", meaning, protocol.challenge) from None
    if (lack := shortage_in(protocol.unanswerable)) is not None:
        raise starved(state.stage, lack)
    if protocol.unanswerable is not None:
        # Whatever follows is about our cancelling, and not about the password.
        wrong = f"{state.place} asks what no client can answer:"
        raise state.passing(Reason.PROBE_INCONCLUSIVE, wrong, "its log may tell why.")
    if result != "OK":
        answer = "NO" if result == "NO" else "BAD"
        meaning = _meaning(session, lines, answer)
        challenge = protocol.challenge if login.token else None
        meaning = sasl.with_refusal(meaning, sasl.refusal_in(challenge))
        raise _rejected(session, answer, meaning, challenge)
    if command.scram is not None and not command.scram.verified:
        raise state.proves_nothing(command.scram.mechanism)
    state.authenticated = True
    session.learn(text.capabilities_in(lines))
    state.stage = ProbeStage.MAILBOX


def _meaning(session: ImapSession, lines: list[bytes], answer: str) -> Meaning:
    """What an answer to the login means; where it only refuses, what the server warned of meanwhile
    may say why (RFC 9051 section 7.1.2)."""
    meaning = session.meaning(Stage.AUTH, said := text_of(lines), answer)
    if meaning.cause not in _BARE:
        return meaning
    try:
        for notice in notices_in(lines[:-1])[:_NOTICES_LIMIT]:
            why = session.meaning(Stage.AUTH, as_text(notice.text), "NO")
            # What announces trouble to all who sign in makes no wrong password pass.
            if why.cause not in _BARE and (notice.warns or why.conclusive):
                return why
    finally:
        session.state.said = said
    return meaning


def _command(session: ImapSession, login: Login) -> text.LoginCommand:
    offered = session.capabilities
    if not login.token:
        command = text.password_command(login, offered)
        if command is not None:
            return command
        known = ", ".join(known_mechanisms(text.mechanisms_among(offered))[:8]) or "no mechanism"
        does = f"{session.state.place} offers {known} and forbids the command LOGIN"
        raise session.state.failure(Reason.MECHANISM_UNSUPPORTED, *sasl.none_known(does))
    mechanisms = text.mechanisms_among(sorted(offered))
    try:
        exchange = sasl.token_exchange(mechanisms, session.state.endpoint, login)
    except ValueError:
        raise session.state.unsendable() from None
    if exchange is None:
        raise session.state.takes_no_token(mechanisms)
    return text.token_command(exchange, offered)


def _rejected(
    session: ImapSession, answer: str, meaning: Meaning, challenge: bytes | None
) -> Failure:
    """What an answer to the login means."""
    session.state.authenticated = False if meaning.counts_as_refusal else None
    status = sasl.status_of(sasl.refusal_in(challenge))
    said = f"{answer} ({status})" if status else answer
    return session.meant(meaning, f"answers the login with {said}")
