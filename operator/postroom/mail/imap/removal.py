# SPDX-License-Identifier: Apache-2.0
"""Removes messages of ours, each only after its header has proved that it is ours.

EXPUNGE without UIDs is never sent: it would remove what others have marked. Neither is CLOSE.
"""

from collections.abc import Sequence

from postroom.mail.imap.auth import state_of
from postroom.mail.imap.examine import opened, written
from postroom.mail.imap.fetching import fetched
from postroom.mail.imap.listing import list_command, listed, special_uses
from postroom.mail.imap.operation import for_an_operation
from postroom.mail.imap.scan import same_mailbox
from postroom.mail.imap.session import ImapSession
from postroom.mail.operations import Removal, RemovalReport, RemoveMessages
from postroom.mail.report import Endpoint, Login
from postroom.mail.round_trip.compose import PROBE_FIELD
from postroom.mail.round_trip.header import read_header
from postroom.mail.session.state import Connector

#: Messages of one session: those of a look, and what earlier ones left behind.
_REMOVALS_LIMIT = 50
#: A proof that is shorter could stand in a message by chance.
_SHORTEST_PROOF = 16
_PROOF_ITEMS = f"(UID BODY.PEEK[HEADER.FIELDS ({PROBE_FIELD.upper()})]<0.4096>)"
_GMAIL = "X-GM-EXT-1"


async def remove(
    endpoint: Endpoint, login: Login, asked: RemoveMessages, connector: Connector
) -> RemovalReport:
    """Which messages were removed, also where the session broke off after it.

    SELECT is sent here and nowhere else, but for servers that know no EXAMINE.
    """
    state, removed = state_of(endpoint, login, connector), list[Removal]()
    async with state.reported(), for_an_operation(state) as session:
        await _remove_all(session, tuple(dict.fromkeys(asked.removals))[:_REMOVALS_LIMIT], removed)
    return RemovalReport(state.report(), tuple(removed))


async def _remove_all(
    session: ImapSession, removals: Sequence[Removal], removed: list[Removal]
) -> None:
    trash = None
    if _GMAIL in session.capabilities:
        # Its mailbox for trash; empty where there is none.
        result, lines = await session.ask(*list_command(session.capabilities))
        trash = special_uses(listed(lines[:-1])).get("Trash", "") if result == "OK" else ""
    for mailbox in dict.fromkeys(removal.mailbox for removal in removals):
        result, lines = await session.ask("SELECT", written(mailbox))
        seen = opened(lines[:-1]) if result == "OK" else None
        for removal in removals:
            # With another UIDVALIDITY, the UID is another message's.
            known = seen is not None and removal.uid_validity == seen.uid_validity
            if removal.mailbox != mailbox or not known:
                continue
            if await _remove(session, removal, trash):
                removed.append(removal)


async def _remove(session: ImapSession, removal: Removal, trash: str | None) -> bool:
    """Whether one message went: only if its header holds the proof, exactly once.

    At Gmail, where \\Deleted only takes a label away, it goes to the trash.
    """
    if len(removal.proof) < _SHORTEST_PROOF:
        return False
    uid, offered = str(removal.uid), session.capabilities
    result, lines = await session.ask("UID FETCH", uid, _PROOF_ITEMS)
    found = [
        message for message in fetched(lines[:-1]) if message.uid == removal.uid and message.header
    ]
    if result != "OK" or len(found) != 1:
        return False
    values = read_header(found[0].header or b"").all(PROBE_FIELD)
    if len(values) != 1 or removal.proof not in values[0].split():
        return False
    if trash is None or same_mailbox(trash, removal.mailbox):
        done, _ = await session.ask("UID STORE", uid, "+FLAGS.SILENT", r"(\Deleted)")
        # Removed where it can be removed alone (RFC 4315 section 2.1).
        if done == "OK" and offered & {"UIDPLUS", "IMAP4REV2"}:
            await session.ask("UID EXPUNGE", uid)
        return done == "OK"
    if not trash:
        return False
    command = "UID MOVE" if "MOVE" in offered else "UID COPY"
    return (await session.ask(command, uid, written(trash)))[0] == "OK"
