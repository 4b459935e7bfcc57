# SPDX-License-Identifier: Apache-2.0
"""Whether a mailbox was made anew, or its server merely cannot keep its numbers.

Of a mailbox that was made anew a day is handed over again, mostly under other ids. There are
servers that give it another UIDVALIDITY in each session, and some of several machines that do not
agree: of these that day would be handed over without end. So one is believed that two sessions in a
row find. UIDs that went back are believed at once: they grow, and soon nothing would tell.
"""

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.delivery.cursors import Cursor
from postroom.mail.connect.dial import Failure


class Numbering:
    """Of the mailboxes of one account; a `Failure` ends the session that it is raised in."""

    def __init__(self) -> None:
        #: Another UIDVALIDITY than the cursor's, as the last session found it.
        self._found: dict[str, int] = {}

    def settled(self, before: Cursor, found: Cursor) -> Cursor:
        """The cursor that a mailbox goes on with; raises `Failure` where that is to be found once
        more. Nothing is doubted where nothing was known, or spec and Secret lead elsewhere."""
        mailbox, validity = before.mailbox, found.uid_validity
        known = before.uid_validity and before.owner == found.owner
        if known and validity not in (before.uid_validity, self._found.get(mailbox)):
            self._found[mailbox] = validity
            raise Failure(
                ProbeStage.MAILBOX,
                Reason.CAPABILITY_MISSING,
                f"The server gives mailbox {mailbox} another UIDVALIDITY in each session, so that "
                "new messages cannot be told from those that were handed over: they wait until "
                "two sessions in a row find the same. Ask whoever runs it, or use another server.",
            )
        self._found.pop(mailbox, None)
        return found
