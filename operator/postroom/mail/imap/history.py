# SPDX-License-Identifier: Apache-2.0
"""Counts what arrived in a mailbox day by day, and what is there twice; reads nothing of a message
but its Message-ID, and changes none."""

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
from postroom.mail.round_trip.header import read_header
from postroom.mail.session.state import Connector

#: Messages that are counted: the last ones of the mailbox.
MESSAGES_LIMIT = 20_000
#: The line that names them all by UID.
_UIDS_LINE = 256 * 1024
_BATCH = 1000
#: So much of a Message-ID that a batch fits into what the protocol keeps.
_ITEMS = "(UID INTERNALDATE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]<0.512>)"
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
    days, complete, duplicates = dict[date, int](), False, 0
    async with state.reported(), for_an_operation(state) as session:
        days, complete, duplicates = await _count(session, asked, messages_limit)
    report = state.report()
    if report.stage is not ProbeStage.DONE:
        return asked.not_done(report)
    return HistoryReport(report, days, complete, duplicates)


async def _count(
    session: ImapSession, asked: CountDays, messages_limit: int
) -> tuple[dict[date, int], bool, int]:
    """The messages by day, whether these are all, and how many of them are there again."""
    seen = await examine(session, asked.mailbox)
    if not seen.messages:
        return {}, True, 0
    criteria = ["SINCE", search_date(asked.since - _MARGIN)]
    bounded = seen.messages > messages_limit
    if bounded:
        criteria.insert(0, f"{seen.messages - messages_limit + 1}:*")
    result, lines = await session.ask("UID SEARCH", *criteria, line_limit=_UIDS_LINE)
    uids = searched(unless_refused(session, "SEARCH", result, lines))[-messages_limit:]
    moments, names = dict[int, datetime](), dict[int, str]()
    for numbers, within in uid_sets(uids, _BATCH):
        for message in fetched(await lines_told(session, "UID FETCH", numbers, _ITEMS)):
            if message.uid in within and message.received_at is not None:
                moments[message.uid] = message.received_at
                names[message.uid] = read_header(message.header or b"").first("Message-ID")
    # Where all that was looked at is recent enough, what was left out may be as well.
    complete = not bounded or len(uids) < messages_limit
    recent = [names[uid] for uid, moment in moments.items() if moment.date() >= asked.since]
    return by_day(moments.values(), asked.since), complete, repeated(recent)


def repeated(names: Iterable[str]) -> int:
    """How many of some messages are there again, by Message-ID (RFC 5322 section 3.6.4); one that
    has none is nobody's double."""
    counts = Counter(name for name in names if name)
    return sum(counts.values()) - len(counts)


def by_day(moments: Iterable[datetime], since: date) -> dict[date, int]:
    """How many moments (UTC) fall on each day from one on, in the order of days."""
    days = Counter(moment.date() for moment in moments if moment.date() >= since)
    return dict(sorted(days.items()))
