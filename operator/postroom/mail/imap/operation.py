# SPDX-License-Identifier: Apache-2.0
"""What is done over IMAP after signing in, besides the check: commands, each with a deadline.

What fails there ends the session, and its report says so.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.imap.auth import signed_in
from postroom.mail.imap.protocol import CommandAnswer
from postroom.mail.imap.session import ImapSession, text_of
from postroom.mail.replies import Stage
from postroom.mail.session.state import SessionState

#: What we say of ourselves (RFC 2971).
IDENTITY = '("name" "postroom")'


@asynccontextmanager
async def for_an_operation(state: SessionState) -> AsyncIterator[ImapSession]:
    """A session that is signed in, and lasts as long again as a check may; raises `Failure`."""
    async with state.lasting(2 * state.deadlines.total), signed_in(state) as session:
        if "ID" in session.capabilities:
            # NetEase opens no mailbox for clients that do not say their name (RFC 2971).
            await session.ask("ID", IDENTITY)
        yield session


async def ask_at_once(
    session: ImapSession, commands: Sequence[Sequence[str]]
) -> list[CommandAnswer]:
    """The answers to commands that are sent at once; raises `Failure` without them."""
    answers = session.protocol.run_all(*commands)
    return await session.within(ProbeStage.MAILBOX, session.state.deadlines.command, answers)


async def lines_told(session: ImapSession, name: str, *arguments: str) -> list[bytes]:
    """The untagged lines of an answer; raises `Failure` where it is not OK."""
    return unless_refused(session, name, *await session.ask(name, *arguments))


def unless_refused(session: ImapSession, name: str, result: str, lines: list[bytes]) -> list[bytes]:
    """The untagged lines of an answer to the command of a name; raises `Failure`.

    Which is no verdict: the mailbox opens, and it may be about a single message. What words alone
    would say that stays is about opening it, so that of these only what passes is believed.
    """
    if result == "OK":
        return lines[:-1]
    answer = "NO" if result == "NO" else "BAD"
    meaning = session.meaning(Stage.MAILBOX, text_of(lines), answer)
    does = f"opens the mailbox, but answers {name} with {answer}"
    if meaning.response is not None or not meaning.conclusive:
        failure = session.meant(meaning, does)
        failure.conclusive = False
        raise failure
    wrong = f"{session.state.place} {does}:"
    raise session.state.passing(Reason.PROBE_INCONCLUSIVE, wrong, "read its log.")
