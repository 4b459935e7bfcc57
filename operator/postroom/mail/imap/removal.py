# SPDX-License-Identifier: Apache-2.0
"""Removes messages of ours, each only after its header has proved that it is ours.

EXPUNGE without UIDs is never sent: it would remove what others have marked. Neither is CLOSE.
"""

from __future__ import annotations

from collections.abc import Sequence

from postroom.mail.connect import tls
from postroom.mail.connect.dial import Dialler
from postroom.mail.imap.fetching import fetched
from postroom.mail.imap.listing import list_command, listed, special_uses
from postroom.mail.imap.operation import ImapErrand, opened, written
from postroom.mail.imap.protocol import GuardedProtocol
from postroom.mail.imap.scan import same_mailbox
from postroom.mail.operations import Removal, RemovalReport
from postroom.mail.report import Endpoint, Login
from postroom.mail.round_trip.compose import PROBE_FIELD
from postroom.mail.round_trip.header import read_header

#: Messages of one errand: those of a look, and what earlier ones left behind.
_REMOVALS_LIMIT = 50
#: A proof that is shorter could stand in a message by chance.
_SHORTEST_PROOF = 16
_PROOF_ITEMS = f"(UID BODY.PEEK[HEADER.FIELDS ({PROBE_FIELD.upper()})]<0.4096>)"
_GMAIL = "X-GM-EXT-1"


class ImapRemoval(ImapErrand):
    """Removes some messages; `remove` once. SELECT is sent here and nowhere else."""

    def __init__(
        self,
        endpoint: Endpoint,
        login: Login,
        removals: Sequence[Removal],
        dialler: Dialler,
        trust: tls.TrustStore,
    ) -> None:
        super().__init__(endpoint, login, dialler, trust)
        self._removals = tuple(dict.fromkeys(removals))[:_REMOVALS_LIMIT]
        self._removed: list[Removal] = []

    async def remove(self) -> RemovalReport:
        """Return what was removed, also where the session broke off after it."""
        return RemovalReport(await self.run(), tuple(self._removed))

    async def _errand(self, protocol: GuardedProtocol, offered: set[str]) -> None:
        trash = await self._trash(protocol, offered) if _GMAIL in offered else None
        for mailbox in dict.fromkeys(one.mailbox for one in self._removals):
            wanted = [one for one in self._removals if one.mailbox == mailbox]
            result, lines = await self._ask(protocol, "SELECT", written(mailbox))
            validity = opened(lines[:-1]).uid_validity if result == "OK" else None
            for removal in wanted:
                # With another UIDVALIDITY, the UID is another message's.
                if removal.uid_validity == validity and await self._proven(protocol, removal):
                    await self._remove(protocol, offered, removal, trash)

    async def _trash(self, protocol: GuardedProtocol, offered: set[str]) -> str:
        """Gmail's mailbox for trash; empty where there is none."""
        result, lines = await self._ask(protocol, *list_command(offered))
        return special_uses(listed(lines[:-1])).get("Trash", "") if result == "OK" else ""

    async def _proven(self, protocol: GuardedProtocol, removal: Removal) -> bool:
        """Tell whether the message is there and its header holds the proof, exactly once."""
        if len(removal.proof) < _SHORTEST_PROOF:
            return False
        result, lines = await self._ask(protocol, "UID FETCH", str(removal.uid), _PROOF_ITEMS)
        found = [one for one in fetched(lines[:-1]) if one.uid == removal.uid and one.header]
        if result != "OK" or len(found) != 1:
            return False
        values = read_header(found[0].header or b"").all(PROBE_FIELD)
        return len(values) == 1 and removal.proof in values[0].split()

    async def _remove(
        self, protocol: GuardedProtocol, offered: set[str], removal: Removal, trash: str | None
    ) -> None:
        """Remove one message; at Gmail, where \\Deleted only takes a label away, by the trash."""
        uid = str(removal.uid)
        if trash is None or same_mailbox(trash, removal.mailbox):
            done = await self._mark_and_expunge(protocol, offered, uid)
        elif trash:
            command = "UID MOVE" if "MOVE" in offered else "UID COPY"
            done = (await self._ask(protocol, command, uid, written(trash)))[0] == "OK"
        else:
            done = False
        if done:
            self._removed.append(removal)

    async def _mark_and_expunge(
        self, protocol: GuardedProtocol, offered: set[str], uid: str
    ) -> bool:
        """Mark it as deleted; remove it where it can be removed alone (RFC 4315 section 2.1)."""
        marked, _ = await self._ask(protocol, "UID STORE", uid, "+FLAGS.SILENT", r"(\Deleted)")
        if marked == "OK" and offered & {"UIDPLUS", "IMAP4REV2"}:
            await self._ask(protocol, "UID EXPUNGE", uid)
        return marked == "OK"
