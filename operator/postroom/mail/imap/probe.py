# SPDX-License-Identifier: Apache-2.0
"""The IMAP check: TLS, greeting, capabilities, one login, and a look at the mailbox.

EXAMINE and never SELECT, so that nothing in the mailbox changes (RFC 9051 section 6.3.3).
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from postroom.concurrency.patience import PeerDeadline
from postroom.mail.imap.auth import signed_in, state_of
from postroom.mail.imap.examine import mailbox_of, not_opened, or_selected, uncounted, written
from postroom.mail.imap.fetching import fetched
from postroom.mail.imap.listing import list_command, listed, personal_namespace, special_uses
from postroom.mail.imap.operation import IDENTITY, ask_at_once
from postroom.mail.imap.protocol import CommandAnswer, ConnectionEnded
from postroom.mail.imap.quota import append_limit_in, offers_quota, quotas
from postroom.mail.imap.session import ImapSession, text_of
from postroom.mail.replies import Cause
from postroom.mail.report import Endpoint, Login, Mailbox, ProbeReport
from postroom.mail.session.state import Connector

#: Seconds for what is good to know, once it is known that all works.
_PATIENCE = 5.0


async def check(
    endpoint: Endpoint, login: Login | None, mailbox: str, connector: Connector
) -> ProbeReport:
    """Connect with TLS, sign in, and look at a mailbox; without a login, the capabilities only."""
    state = state_of(endpoint, login, connector)
    async with state.reported(), signed_in(state) as session:
        if login is not None:
            state.mailbox = await _look(session, mailbox)
            state.mailbox = await _look_around(session, mailbox, state.mailbox)
    return state.report()


async def _look(session: ImapSession, mailbox: str) -> Mailbox:
    """Count, and open read-only: authentication alone does not prove that it can be read."""
    name, offered = written(mailbox), session.capabilities
    questions = [("STATUS", name, counts_asked(offered)), ("EXAMINE", name)]
    if "ID" in offered:
        # RFC 2971; NetEase opens no mailbox for clients that do not say their name.
        questions.insert(0, ("ID", IDENTITY))
    answers = await ask_at_once(session, questions)
    answers[-1], selected = await or_selected(session, name, answers[-1])
    (counted, _), (examined, opened) = answers[-2:]
    if examined != "OK":
        text = text_of(opened)
        failure = not_opened(session, examined, text)
        if failure.cause == Cause.MAILBOX_UNAVAILABLE and "NAMESPACE" in offered:
            # The name may lack what all names begin with.
            own = personal_namespace(await _extra(session, [("NAMESPACE",)]))
            prefix = own.prefix if own is not None else ""
            if prefix and mailbox.upper() != "INBOX" and not mailbox.startswith(prefix):
                begin = f' The names of this account\'s mailboxes begin with "{prefix[:40]}".'
                failure = not_opened(session, examined, text, begin)
        raise failure
    said = _said(answers)
    found = mailbox_of(mailbox, said if counted == "OK" else [], said)
    if found is None:
        raise uncounted(session)
    limit = found.append_limit
    return replace(
        found,
        selected=selected,
        append_limit=limit if limit is not None else append_limit_in(offered),
    )


async def _look_around(session: ImapSession, name: str, mailbox: Mailbox) -> Mailbox:
    """Add what else the server tells of the mailbox and those around it."""
    offered = session.capabilities
    questions: list[tuple[str, ...]] = []
    if mailbox.messages:
        questions.append(("UID FETCH", "*", "(UID INTERNALDATE)"))
    if "NAMESPACE" in offered:
        questions.append(("NAMESPACE",))
    if "SPECIAL-USE" in offered:
        questions.append(list_command(offered))
    if offers_quota(offered):
        questions.append(("GETQUOTAROOT", written(name)))
    said = await _extra(session, questions)
    newest = [found.received_at for found in fetched(said) if found.received_at is not None]
    octets, messages = quotas(said)
    own = personal_namespace(said)
    return replace(
        mailbox,
        newest_at=newest[-1] if newest else None,
        octets=octets,
        message_quota=messages,
        special=special_uses(listed(said)),
        prefix=own.prefix if own is not None else None,
        delimiter=own.delimiter if own is not None else None,
    )


async def _extra(session: ImapSession, questions: Sequence[Sequence[str]]) -> list[bytes]:
    """The untagged lines that answer what the verdict does not hang on, or none."""
    if not questions:
        return []
    try:
        async with PeerDeadline(min(_PATIENCE, session.state.deadlines.command)):
            return _said(await session.protocol.run_all(*questions))
    except (TimeoutError, ConnectionEnded):
        return []


def counts_asked(offered: AbstractSet[str]) -> str:
    """What to ask STATUS for: what every server knows, and what this one offers."""
    items = ["MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY"]
    if offered & {"STATUS=SIZE", "IMAP4REV2"}:  # RFC 8438
        items.append("SIZE")
    if "APPENDLIMIT" in offered:  # RFC 7889
        items.append("APPENDLIMIT")
    return f"({' '.join(items)})"


def _said(answers: Sequence[CommandAnswer]) -> list[bytes]:
    """All untagged lines; the last of each answer is the result, which is free text."""
    return [line for _, lines in answers for line in lines[:-1]]
