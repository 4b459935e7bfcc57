# SPDX-License-Identifier: Apache-2.0
"""What the answers to LIST, NAMESPACE, GETQUOTAROOT, STATUS, FETCH, SEARCH and EXAMINE tell: as
servers write them, in odd shapes, and as any lines at all; and the sets of UIDs that we write."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.imap.dates import internal_date, search_date
from postroom.mail.imap.examine import Opened, opened
from postroom.mail.imap.fetching import Fetched, fetched, searched, uid_sets
from postroom.mail.imap.history import by_day
from postroom.mail.imap.listing import (
    NAME_LIMIT,
    Namespace,
    list_command,
    listed,
    mailbox_name,
    personal_namespace,
    special_uses,
    where_mail_arrives,
)
from postroom.mail.imap.probe import counts_asked
from postroom.mail.imap.quota import append_limit_in, offers_quota, quotas
from postroom.mail.imap.scan import positions_in, same_mailbox, special_use_of
from postroom.mail.imap.text import modified_utf7
from postroom.mail.operations import Position
from postroom.mail.report import Quota

LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b'LIST (\\Junk) "/" "Spam"',
                b"LIST (\\Junk) NIL {3}",
                b"abc",
                b'NAMESPACE (("" "/")) NIL NIL',
                b"NAMESPACE ((",
                b'QUOTA "" (STORAGE 1 2)',
                b'QUOTA "" (STORAGE 1',
                b"1 FETCH (UID 7 INTERNALDATE NIL)",
                b"SEARCH 1 2 x 99999999999",
                b"STATUS x (UIDNEXT 1 UIDVALIDITY 2)",
                b"3 EXISTS",
                b"OK [UIDNEXT 0] x",
            ]
        ),
        st.binary(max_size=30).map(lambda one: b"LIST (\\Junk) NIL " + one),
        st.binary(max_size=30).map(lambda one: b"QUOTA x (STORAGE " + one + b")"),
        st.binary(max_size=30).map(lambda one: b"1 FETCH (UID 1 INTERNALDATE " + one + b")"),
    ),
    max_size=12,
)


@given(LINES)
def test_any_lines_fit_into_status(lines: list[bytes]) -> None:
    uses = special_uses(listed(lines))
    assert all(0 < len(use) <= 32 and len(name) <= NAME_LIMIT for use, name in uses.items())
    assert all(name.isprintable() for name in uses.values())
    for quota in quotas(lines):
        assert quota is None or (0 <= quota.used < 2**63 and 0 < quota.limit < 2**63)
    own = personal_namespace(lines)
    assert own is None or own.prefix.isprintable()
    for one in fetched(lines):
        assert one.received_at is None or one.received_at.utcoffset() == timedelta()
    assert all(0 < uid < 2**32 for uid in searched(lines))
    assert all(
        position.uid_next > 0 and position.uid_validity > 0 for position in positions_in(lines)
    )
    assert opened(lines).messages >= 0


@pytest.mark.parametrize(
    ("line", "uses"),
    [
        (b'LIST (\\HasNoChildren \\Junk) "/" "[Gmail]/Spam"', {"Junk": "[Gmail]/Spam"}),
        (b'LIST (\\junk \\Important) "." Spam', {"Junk": "Spam", "Important": "Spam"}),
        (b'LIST (\\Drafts) "/" "Entw&APw-rfe"', {"Drafts": "Entwürfe"}),
        (b'LIST (\\All \\Noselect) "/" "All"', {}),
        (b'LIST (\\Marked) "/" "Junk"', {}),
        (b'LIST (\\Junk) "/" "broken &AP-"', {}),
        (b'LIST (\\Junk) "/" "raw \xff"', {}),
        (b'LIST (\\Junk) "/" "' + b"x" * 300 + b'"', {}),
        (b'LIST (\\Junk) "/" "a\x1bb"', {}),
        (b'LSUB (\\Junk) "/" "Spam"', {}),
    ],
)
def test_special_uses(line: bytes, uses: dict[str, str]) -> None:
    assert special_uses(listed([line])) == uses


def test_of_several_mailboxes_for_a_use_always_the_same_is_taken() -> None:
    lines = [b'LIST (\\Sent) "/" "b"', b'LIST (\\Sent) "/" "a"', b'LIST (\\Sent) "/" "c"']
    assert special_uses(listed(lines)) == special_uses(listed(lines[::-1])) == {"Sent": "a"}


def test_mail_also_arrives_in_junk_that_is_only_called_so() -> None:
    lines = [b'LIST () "/" "INBOX"', b'LIST () "/" "Junk Email"', b'LIST (\\All) "/" "All"']
    assert where_mail_arrives(listed(lines)) == {"All": "All", "Junk": "Junk Email"}
    told = [b'LIST () "." "INBOX.Spam"', b'LIST (\\Junk) "." "INBOX.Bin"']
    assert where_mail_arrives(listed(told[:1])) == {"Junk": "INBOX.Spam"}
    assert where_mail_arrives(listed(told)) == {"Junk": "INBOX.Bin"}


def test_the_special_use_of_a_mailbox() -> None:
    mailboxes = listed([b'LIST (\\Junk) "/" "Spam"'])
    assert special_use_of("Spam", mailboxes) == "\\Junk"
    assert special_use_of("spam", mailboxes) is None
    assert same_mailbox("inbox", "INBOX")


def test_how_mailboxes_are_asked_for() -> None:
    assert list_command({"IMAP4REV1"})[2] == '"%"'
    assert list_command({"SPECIAL-USE"}) == ("LIST", '""', '"*"')
    assert "(SPECIAL-USE)" in list_command({"SPECIAL-USE", "LIST-EXTENDED"})


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_mailbox_names_are_read_back(name: str) -> None:
    found = mailbox_name(modified_utf7(name).encode())
    assert found == (name if name.isprintable() else None)


@given(st.binary(max_size=40))
def test_a_name_is_read_only_if_it_is_written_the_same(raw: bytes) -> None:
    found = mailbox_name(raw)
    assert found is None or modified_utf7(found).encode() == raw


@pytest.mark.parametrize(
    ("line", "own"),
    [
        (b'NAMESPACE (("" "/")) NIL NIL', Namespace("", "/")),
        (b'NAMESPACE (("INBOX." ".")) (("user." ".")) NIL', Namespace("INBOX.", ".")),
        (b'namespace (("" NIL "X-PARAM" ("a")) ("x" "/")) NIL NIL', Namespace("", None)),
        (b"NAMESPACE NIL NIL NIL", None),
        (b"NAMESPACE ((NIL NIL)) NIL NIL", None),
        (b"NAMESPACE ()", None),
    ],
)
def test_namespaces(line: bytes, own: Namespace | None) -> None:
    assert personal_namespace([line]) == own


@pytest.mark.parametrize(
    ("lines", "octets", "messages"),
    [
        ([b'QUOTA "" (STORAGE 10 512)'], Quota(10240, 524288), None),
        ([b"QUOTA {0}", b"", b" (MESSAGE 7 9 STORAGE 0 1)"], Quota(0, 1024), Quota(7, 9)),
        ([b"QUOTA a (STORAGE 1 10)", b"QUOTA b (STORAGE 9 10)"], Quota(9216, 10240), None),
        ([b'QUOTA "" (STORAGE 10 0)'], None, None),
        ([b'QUOTA "" ()'], None, None),
        ([b'QUOTA "" (STORAGE -1 5)', b'QUOTA "" (STORAGE 1)'], None, None),
        ([b'QUOTA "" (STORAGE 1 999999999999999999)'], Quota(1024, 2**63 - 1), None),
    ],
)
def test_quotas(lines: list[bytes], octets: Quota | None, messages: Quota | None) -> None:
    assert quotas(lines) == (octets, messages)


def test_what_capabilities_tell_of_limits() -> None:
    assert offers_quota({"QUOTA=RES-STORAGE"})
    assert not offers_quota({"QUOTASET"})
    assert append_limit_in({"APPENDLIMIT=35651584", "IDLE"}) == 35651584
    assert append_limit_in({"APPENDLIMIT", "APPENDLIMIT=x"}) is None
    assert counts_asked({"STATUS=SIZE", "APPENDLIMIT"}).endswith("UIDVALIDITY SIZE APPENDLIMIT)")
    assert counts_asked(set()).endswith("UIDVALIDITY)")


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)),
    st.integers(-14 * 60, 14 * 60),
)
def test_dates_are_read_back(naive: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    moment = naive.replace(microsecond=0, tzinfo=zone)
    sign, size = "+-"[minutes < 0], abs(minutes)
    text = f"{search_date(moment.date()):>11} {moment:%H:%M:%S} {sign}{size // 60:02}{size % 60:02}"
    assert internal_date(text.encode()) == moment


@given(st.binary(max_size=30))
def test_any_text_is_a_date_or_none(text: bytes) -> None:
    found = internal_date(text)
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        b"31-Feb-2026 00:00:00 +0000",
        b"01-Foo-2026 00:00:00 +0000",
        b"01-Jan-0000 00:00:00 +0000",
        b"01-Jan-1904 00:00:00 +0000",
        b"01-Jan-2026 24:00:00 +0000",
        b"01-Jan-2026 00:00:00 +9900",
        b"31-Dec-9999 23:59:59 -1200",
        b"01-Jan-2026",
        b"",
    ],
)
def test_absurd_dates_are_none(text: bytes) -> None:
    assert internal_date(text) is None


def test_a_date_as_servers_write_it() -> None:
    expected = datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)
    assert internal_date(b"17-Jul-1996 02:44:25 -0700") == expected
    assert search_date(date(2026, 1, 5)) == "5-Jan-2026"


def test_messages() -> None:
    lines = [
        b'9 FETCH (UID 3 INTERNALDATE " 7-Jul-2026 00:00:00 +0000" BODY[HEADER.FIELDS (TO)]<0> {4}',
        b"To:x",
        b")",
        b"10 FETCH (FLAGS (\\Seen))",
        b"11 FETCH (UID 0)",
        b"12 fetch (INTERNALDATE NIL uid 5)",
        b"13 EXPUNGE",
    ]
    moment = datetime(2026, 7, 7, tzinfo=UTC)
    assert list(fetched(lines)) == [Fetched(3, moment, b"To:x"), Fetched(5)]


def test_searches() -> None:
    assert searched([b"SEARCH 7 3 3", b"SEARCH", b"search 5 x", b"9 EXISTS"]) == [3, 5, 7]


@given(st.sets(st.integers(1, 2**32 - 1), max_size=400), st.integers(1, 60))
def test_sets_of_uids_hold_each_once(uids: set[int], most: int) -> None:
    found = list(uid_sets(sorted(uids), most))
    assert all(len(within) <= most and len(text) < 8000 for text, within in found)
    assert [uid for _, within in found for uid in sorted(within)] == sorted(uids)
    for text, within in found:
        ends = [[int(end) for end in one.split(":")] for one in text.split(",")]
        assert {uid for one in ends for uid in range(one[0], one[-1] + 1)} == within


def test_sets_of_uids_are_short() -> None:
    assert [text for text, _ in uid_sets([1, 2, 3, 7, 9, 10], 9)] == ["1:3,7,9:10"]
    sparse = [text for text, _ in uid_sets(range(2**31, 2**31 + 2000, 2), 1000)]
    assert len(sparse) == 4
    assert max(map(len, sparse)) < 8000


def test_positions() -> None:
    lines = [b'STATUS "Entw&APw-rfe" (UIDNEXT 4 UIDVALIDITY 2)', b"STATUS x (UIDNEXT 4)"]
    assert positions_in(lines) == [Position("Entwürfe", 2, 4)]


def test_what_opening_tells() -> None:
    lines = [b"3 EXISTS", b"OK [UIDVALIDITY 7] valid", b"OK [UIDNEXT 9] next", b"0 RECENT"]
    assert opened(lines) == Opened(3, 7, 9)
    assert opened([b"OK [UIDNEXT 0]", b"x EXISTS"]) == Opened(0, None, None)


def test_days_are_utc_and_sorted() -> None:
    moments = [datetime(2026, 5, day, 23, tzinfo=UTC) for day in (3, 1, 3, 2)]
    counted = by_day(moments, date(2026, 5, 2))
    assert list(counted.items()) == [(date(2026, 5, 2), 1), (date(2026, 5, 3), 2)]
