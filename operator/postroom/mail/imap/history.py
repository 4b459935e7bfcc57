# SPDX-License-Identifier: Apache-2.0
"""Counts what arrived in a mailbox day by day; reads no message, and changes none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from postroom.api.mailserver import ProbeStage
from postroom.mail.connect import tls
from postroom.mail.connect.dial import Dialler
from postroom.mail.imap.dates import search_date
from postroom.mail.imap.fetching import fetched, searched, uid_sets
from postroom.mail.imap.operation import ImapErrand
from postroom.mail.imap.protocol import GuardedProtocol
from postroom.mail.operations import HistoryReport
from postroom.mail.report import Endpoint, Login

#: Messages that are counted: the last ones of the mailbox.
MESSAGES_LIMIT = 20_000
#: The line that names them all by UID.
_UIDS_LINE = 256 * 1024
_BATCH = 1000
#: A server compares days in the time zones in which messages came in (RFC 9051 section 6.4.4).
_MARGIN = timedelta(days=1)


class ImapHistory(ImapErrand):
    """Counts the messages of one mailbox since a day (UTC); `count` once."""

    def __init__(
        self,
        endpoint: Endpoint,
        login: Login,
        mailbox: str,
        since: date,
        dialler: Dialler,
        trust: tls.TrustStore,
        messages_limit: int = MESSAGES_LIMIT,
    ) -> None:
        super().__init__(endpoint, login, dialler, trust)
        self._mailbox_name = mailbox
        self._since = since
        self._messages_limit = messages_limit
        self._days: dict[date, int] = {}
        self._complete = True

    async def count(self) -> HistoryReport:
        """Return how many arrived on each day; none where the session did not come to its end."""
        session = await self.run()
        if session.stage is not ProbeStage.DONE:
            return HistoryReport(session, complete=False)
        return HistoryReport(session, self._days, self._complete)

    async def _errand(self, protocol: GuardedProtocol, offered: set[str]) -> None:
        seen = await self._examine(protocol, self._mailbox_name)
        if not seen.messages:
            return
        criteria = ["SINCE", search_date(self._since - _MARGIN)]
        bounded = seen.messages > self._messages_limit
        if bounded:
            criteria.insert(0, f"{seen.messages - self._messages_limit + 1}:*")
        result, lines = await self._ask(protocol, "UID SEARCH", *criteria, line_limit=_UIDS_LINE)
        uids = searched(self._unless_refused("SEARCH", result, lines))[-self._messages_limit :]
        moments: dict[int, datetime] = {}
        for numbers, within in uid_sets(uids, _BATCH):
            told = await self._told(protocol, "UID FETCH", numbers, "(UID INTERNALDATE)")
            moments |= {
                one.uid: one.received_at
                for one in fetched(told)
                if one.uid in within and one.received_at is not None
            }
        self._days = by_day(moments.values(), self._since)
        # Where all that was looked at is recent enough, what was left out may be as well.
        self._complete = not bounded or len(uids) < self._messages_limit


def by_day(moments: Iterable[datetime], since: date) -> dict[date, int]:
    """Count moments in UTC by their day, from one on, in the order of days."""
    days = Counter(moment.date() for moment in moments if moment.date() >= since)
    return dict(sorted(days.items()))
