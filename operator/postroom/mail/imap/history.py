# SPDX-License-Identifier: Apache-2.0
"""Counts what arrived in a mailbox day by day; reads no message, and changes none."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from postroom.api.mailserver import ProbeStage
from postroom.mail.imap.auth import state_of
from postroom.mail.imap.dates import search_date
from postroom.mail.imap.examine import examine
from postroom.mail.imap.fetching import fetched, searched, uid_sets
from postroom.mail.imap.operation import for_an_operation, lines_told, unless_refused
from postroom.mail.imap.session import ImapSession
from postroom.mail.operations import CountDays, HistoryReport
from postroom.mail.report import Endpoint, Login
from postroom.mail.session.state import Connector

#: Messages that are counted: the last ones of the mailbox.
MESSAGES_LIMIT = 20_000
#: The line that names them all by UID.
_UIDS_LINE = 256 * 1024
_BATCH = 1000
#: A server compares days in the time zones in which messages came in (RFC 9051 section 6.4.4).
_MARGIN = timedelta(days=1)


async def count_days(
    endpoint: Endpoint,
    login: Login,
    asked: CountDays,
    connector: Connector,
    messages_limit: int = MESSAGES_LIMIT,
) -> HistoryReport:
    """How many messages of a mailbox arrived on each day since one (UTC).

    None where the session did not come to its end.
    """
    state = state_of(endpoint, login, connector)
    days, complete = dict[date, int](), False
    async with state.reported(), for_an_operation(state) as session:
        days, complete = await _count(session, asked, messages_limit)
    report = state.report()
    if report.stage is not ProbeStage.DONE:
        return asked.not_done(report)
    return HistoryReport(report, days, complete)


async def _count(
    session: ImapSession, asked: CountDays, messages_limit: int
) -> tuple[dict[date, int], bool]:
    """The messages by day, and whether these are all."""
    seen = await examine(session, asked.mailbox)
    if not seen.messages:
        return {}, True
    criteria = ["SINCE", search_date(asked.since - _MARGIN)]
    bounded = seen.messages > messages_limit
    if bounded:
        criteria.insert(0, f"{seen.messages - messages_limit + 1}:*")
    result, lines = await session.ask("UID SEARCH", *criteria, line_limit=_UIDS_LINE)
    uids = searched(unless_refused(session, "SEARCH", result, lines))[-messages_limit:]
    moments: dict[int, datetime] = {}
    for numbers, within in uid_sets(uids, _BATCH):
        told = await lines_told(session, "UID FETCH", numbers, "(UID INTERNALDATE)")
        moments |= {
            message.uid: message.received_at
            for message in fetched(told)
            if message.uid in within and message.received_at is not None
        }
    # Where all that was looked at is recent enough, what was left out may be as well.
    return by_day(moments.values(), asked.since), not bounded or len(uids) < messages_limit


def by_day(moments: Iterable[datetime], since: date) -> dict[date, int]:
    """How many moments (UTC) fall on each day from one on, in the order of days."""
    days = Counter(moment.date() for moment in moments if moment.date() >= since)
    return dict(sorted(days.items()))
