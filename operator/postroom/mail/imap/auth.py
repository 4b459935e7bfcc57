# SPDX-License-Identifier: Apache-2.0
"""Signing in over IMAP: one attempt with one mechanism; and opening a mailbox after it."""

from __future__ import annotations

import re

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Failure
from postroom.mail.imap.protocol import AUTH, Answer, GuardedProtocol
from postroom.mail.imap.session import ImapSession, text_of
from postroom.mail.imap.text import (
    LoginCommand,
    capabilities_in,
    mechanisms_among,
    password_command,
    token_command,
)
from postroom.mail.replies import Meaning, Stage
from postroom.mail.report import Login
from postroom.mail.session.capabilities import known_mechanisms
from postroom.mail.session.sasl import (
    knows_mechanisms,
    meaning_of_refusal,
    refusal_in,
    status_of,
    token_exchange,
    with_refusal,
)

#: What we say of ourselves (RFC 2971).
IDENTITY = '("name" "postroom")'
#: How servers say that they do not know a command.
_UNKNOWN = re.compile(
    r"(unknown|unrecogni[sz]ed|unsupported|unimplemented|undefined|invalid|illegal|no such|bad)"
    r"\s+(imap4?(rev1)?\s+)?command|command\s+(\S+\s+)?(is\s+)?(not\s+|un)"
    r"(known|recogni[sz]ed|supported|implemented|understood)|not implemented"
    r"|(unknown|unsupported|unrecogni[sz]ed|not supported)\W*examine"
    r"|examine\W*(is\s+)?(unknown|unsupported|not\s+(known|supported|implemented|recogni[sz]ed))",
    re.IGNORECASE,
)


class ImapSignIn(ImapSession):
    """A conversation in which we sign in, if there is a login."""

    async def _converse(self, protocol: GuardedProtocol, offered: set[str]) -> None:
        if self._login is not None:
            offered |= await self._authenticate(protocol, self._login, offered)
            self._stage = ProbeStage.MAILBOX

    async def _authenticate(
        self, protocol: GuardedProtocol, login: Login, offered: set[str]
    ) -> set[str]:
        """Sign in once with one mechanism; return the capabilities that are told on success."""
        self._stage = ProbeStage.AUTH
        command = self._command(login, offered)
        try:
            async with self._at(ProbeStage.AUTH, self._deadlines.auth, protocol):
                result, lines = await protocol.run(
                    command.name, *command.arguments, answers=command.answers
                )
        except Failure:
            # A server may hang up once it has said why.
            meaning = meaning_of_refusal(refusal_in(protocol.challenge)) if login.token else None
            if meaning is None:
                raise
            raise self._rejected("a refusal", meaning, protocol.challenge) from None
        if protocol.unanswerable:
            # Whatever follows is about our cancelling, and not about the password.
            message = f"{self._place} asks what no client can answer: its log may tell why."
            raise self._passing(Reason.PROBE_INCONCLUSIVE, message)
        if result != "OK":
            raise self._refused(result, text_of(lines), protocol.challenge)
        if command.scram is not None and not command.scram.verified:
            raise self._proves_nothing(command.scram.mechanism)
        protocol.state, self._authenticated = AUTH, True
        return capabilities_in(lines)

    def _command(self, login: Login, offered: set[str]) -> LoginCommand:
        if not login.token:
            command = password_command(login, offered)
            if command is None:
                raise self._no_mechanism(offered)
            return command
        mechanisms = mechanisms_among(sorted(offered))
        try:
            exchange = token_exchange(mechanisms, self._endpoint, login)
        except ValueError:
            raise self._unsendable() from None
        if exchange is None:
            raise self._takes_no_token(mechanisms)
        return token_command(exchange, offered)

    def _refused(self, result: str, text: str, challenge: bytes | None) -> Failure:
        answer = "NO" if result == "NO" else "BAD"
        meaning = self._meaning(Stage.AUTH, text, answer)
        token = self._login is not None and self._login.token
        refusal = refusal_in(challenge) if token else None
        return self._rejected(answer, with_refusal(meaning, refusal), challenge if token else None)

    def _rejected(self, answer: str, meaning: Meaning, challenge: bytes | None) -> Failure:
        """What an answer to the login means."""
        self._authenticated = False if meaning.refuses_credentials else None
        status = status_of(refusal_in(challenge))
        said = f"{answer} ({status})" if status else answer
        return self._meant(meaning, f"answers the login with {said}")

    def _no_mechanism(self, offered: set[str]) -> Failure:
        shown = known_mechanisms(mechanisms_among(offered))
        known = ", ".join(shown[:8]) or "no mechanism"
        message = (
            f"{self._place} offers {known} and forbids the command LOGIN; postroom knows "
            f"{knows_mechanisms()} for passwords: enable one of these on the server, or use oauth "
            "where it is offered."
        )
        return self._failure(Reason.MECHANISM_UNSUPPORTED, message)

    async def _examined(
        self, protocol: GuardedProtocol, name: str, examined: Answer
    ) -> tuple[Answer, bool]:
        """Return how a mailbox was opened, and whether only with SELECT, which must be allowed.

        `examined` is the answer to EXAMINE for the mailbox, whose `name` is as it is written.
        Raises `Failure` where EXAMINE is not known and nothing else is allowed.
        """
        unknown = _is_unknown(*examined)
        if self._endpoint.may_select and (unknown or examined[0] == "BAD"):
            return await protocol.run("SELECT", name), True
        if unknown:
            message = (
                f"{self._place} does not know EXAMINE, which opens a mailbox without changing it: "
                "set imap.allowSelect to true to have it opened with SELECT, which may take the "
                "mark \\Recent from new messages."
            )
            raise self._failure(Reason.CAPABILITY_MISSING, message)
        return examined, False

    def _not_opened(self, result: str, text: str, more: str = "") -> Failure:
        """The end of a session by the answer to EXAMINE or SELECT; `more` goes with the hint."""
        meaning = self._meaning(Stage.MAILBOX, text, "NO" if result == "NO" else "BAD")
        reason = meaning.reason
        if reason is Reason.PROBE_SUCCEEDED:
            # A mere warning elsewhere, such as a full mailbox; here it keeps the mailbox closed.
            reason = Reason.TEMPORARY_FAILURE
        failure = self._meant(meaning, "signs in, but does not open the mailbox", reason)
        failure.message += more
        return failure


def _is_unknown(result: str, lines: list[bytes]) -> bool:
    """Tell whether a command was refused because the server does not know it.

    BAD alone does not say so (RFC 9051 section 7.1.3): servers also slow down with it.
    """
    return result in ("BAD", "NO") and _UNKNOWN.search(text_of(lines)) is not None
