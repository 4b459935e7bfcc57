# SPDX-License-Identifier: Apache-2.0
"""What checks and errands over IMAP make of odd, refusing and hostile servers.

Covers: what is asked of which server; that nothing but the mailbox itself decides a check; names
that lack their prefix; scans past the trap of ``n:*``, of sparse and of endless mailboxes; removal
without UIDPLUS and at Gmail; and how errands end where servers refuse, break off or lie.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from lab.hostile import Step, answer
from lab.imap_lab import OK, Scripted, scripted
from lab.mail_probing import (
    ECHO,
    SOON,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    verdict,
)
from postroom.mail.operations import Position, Removal
from postroom.mail.report import Mailbox, Quota

DONE = ("Done", "ProbeSucceeded")
NO, BAD = answer(b"NO canary"), answer(b"BAD canary")
STATUS = answer(b"OK", b'STATUS "INBOX" (MESSAGES 3 UNSEEN 1 UIDNEXT 9 UIDVALIDITY 5)')
EXAMINE = answer(b"OK [READ-ONLY]", b"3 EXISTS", b"OK [UIDVALIDITY 5] x", b"OK [UIDNEXT 9] x")
NEWEST = b'3 FETCH (UID 8 INTERNALDATE "01-May-2026 12:00:00 +0200")'
COUNTED = Mailbox("INBOX", messages=3, unseen=1, uid_next=9, uid_validity=5)
FULL = (b"NAMESPACE", b"SPECIAL-USE", b"LIST-EXTENDED", b"QUOTA", b"STATUS=SIZE", b"APPENDLIMIT=9")
CHECKED: dict[bytes, Step | tuple[Step, ...]] = {b"STATUS": STATUS, b"EXAMINE": EXAMINE}
EXTRAS: dict[bytes, Step] = {
    b"FETCH": answer(b"OK", NEWEST),
    b"NAMESPACE": answer(b"OK", b'NAMESPACE (("" "/")) NIL NIL'),
    b"LIST": answer(b"OK", b'LIST (\\Junk) "/" "Spam"'),
    b"GETQUOTAROOT": answer(b"OK", b"QUOTAROOT INBOX u", b"QUOTA u (STORAGE 1 2 MESSAGE 3 4)"),
}


async def test_a_check_asks_for_no_more_than_is_offered() -> None:
    async with scripted({**CHECKED, **EXTRAS}) as server:
        report = await server.check()
        said = server.said
    assert outcome(report) == DONE
    assert said == [
        b'STATUS "INBOX" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)',
        b'EXAMINE "INBOX"',
        b"UID FETCH * (UID INTERNALDATE)",
    ]


async def test_a_check_asks_for_all_that_is_offered() -> None:
    async with scripted({**CHECKED, **EXTRAS}, *FULL) as server:
        found = (await server.check()).mailbox
        said = server.said
    assert found is not None
    assert said[0].endswith(b"UIDVALIDITY SIZE)")
    assert said[3:] == [
        b"NAMESPACE",
        b'LIST (SPECIAL-USE) "" "*" RETURN (SPECIAL-USE)',
        b'GETQUOTAROOT "INBOX"',
    ]
    assert found.newest_at == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert (found.octets, found.message_quota) == (Quota(1024, 2048), Quota(3, 4))
    assert (found.append_limit, found.special, found.delimiter) == (9, {"Junk": "Spam"}, "/")


REFUSALS: dict[str, Step] = {
    "no": NO,
    "bad": BAD,
    "bye": b"* BYE canary\r\n",
    "silence": "stall",
    "closed": "close",
    "reset": "reset",
    "endless": "endless",
    "absurd": answer(
        b"OK",
        b"0 FETCH (UID -1 INTERNALDATE canary)",
        b"NAMESPACE canary",
        b"LIST canary",
        b"QUOTA (STORAGE",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_nothing_but_the_mailbox_decides_a_check(name: str) -> None:
    refusing = dict.fromkeys(EXTRAS, REFUSALS[name])
    async with scripted({**CHECKED, **refusing}, *FULL[:4]) as server:
        report = await server.check()
    assert verdict(report) == (*DONE, True)
    assert report.mailbox == COUNTED
    assert ECHO not in repr(report)


async def test_an_empty_mailbox_has_no_newest_message() -> None:
    empty = answer(b"OK", b"0 EXISTS", b"OK [UIDVALIDITY 5] x", b"OK [UIDNEXT 9] x")
    async with scripted({b"STATUS": NO, b"EXAMINE": empty}) as server:
        report = await server.check()
        said = server.said
    assert report.mailbox == Mailbox("INBOX", 0, None, 9, 5)
    assert len(said) == 2


async def test_a_mailbox_that_is_opened_without_a_count_is_not_taken_for_empty() -> None:
    uncounted = answer(b"OK", b"OK [UIDVALIDITY 5] x", b"OK [UIDNEXT 9] x")
    steps = {b"STATUS": NO, b"EXAMINE": uncounted, b"SELECT": uncounted}
    inconclusive = ("Mailbox", "ProbeInconclusive", False)
    async with scripted(steps) as server:
        report = await server.check()
        scanned = await server.scan(Position("INBOX", 5, 8))
        counted = await server.history(date(2026, 5, 1))
        removed = await server.remove(REMOVAL)
    assert (verdict(report), report.mailbox) == (inconclusive, None)
    assert (verdict(scanned.session), scanned.positions) == (inconclusive, ())
    assert (verdict(counted.session), counted.complete) == (inconclusive, False)
    assert removed.removed == ()
    async with scripted({**CHECKED, b"EXAMINE": uncounted, b"FETCH": OK}) as server:
        report = await server.check()
    assert (outcome(report), report.mailbox) == (DONE, COUNTED)


async def test_another_mailbox_that_is_opened_without_a_count_is_looked_at_again() -> None:
    def examined(command: bytes) -> bytes:
        told = EXAMINE if b"INBOX" in command else answer(b"OK", b"OK [UIDVALIDITY 6] x")
        assert callable(told)
        return told(command)

    spam = Position("Spam", 6, 4)
    async with scripted({b"EXAMINE": examined}) as server:
        report = await server.scan(Position("INBOX", 5, 9), spam)
    assert outcome(report.session) == DONE
    assert report.positions == (Position("INBOX", 5, 9), spam)


async def test_answers_may_come_in_another_order() -> None:
    tags: list[bytes] = []

    def keep(command: bytes) -> bytes:
        tags.append(command.split()[0])
        return b""

    def both(command: bytes) -> bytes:
        lines = b"* 3 EXISTS\r\n* STATUS x (MESSAGES 3 UNSEEN 1 UIDNEXT 9 UIDVALIDITY 5)\r\n"
        return lines + command.split()[0] + b" OK x\r\n" + tags[0] + b" OK y\r\n"

    async with scripted({b"STATUS": keep, b"EXAMINE": both, b"FETCH": OK}) as server:
        report = await server.check()
    assert (outcome(report), report.mailbox) == (DONE, COUNTED)


async def test_a_name_without_its_prefix() -> None:
    missing = answer(b"NO [NONEXISTENT] canary")
    steps = {
        b"STATUS": missing,
        b"EXAMINE": missing,
        b"NAMESPACE": answer(b"OK", b'NAMESPACE (("INBOX." ".")) NIL NIL'),
    }
    async with scripted(steps, b"NAMESPACE") as server:
        report = await server.check("Support")
    assert verdict(report) == ("Mailbox", "MailboxNotFound", True)
    assert report.message.endswith('begin with "INBOX.".')
    async with scripted({**steps, b"NAMESPACE": BAD}, b"NAMESPACE") as server:
        report = await server.check("Support")
    assert "begin with" not in report.message
    # What is wrong is not the name.
    disregarded = {**steps, b"EXAMINE": answer(b"NO [AUTHENTICATIONFAILED] canary")}
    async with scripted(disregarded, b"NAMESPACE") as server:
        report = await server.check("Support")
    assert verdict(report) == ("Mailbox", "MailboxNotFound", True)
    assert "begin with" not in report.message


def header(uid: int, content: bytes = b"Subject: x\r\n\r\n") -> bytes:
    date_time = b'INTERNALDATE "01-May-2026 12:00:00 +0000"'
    size = len(content)
    return b"1 FETCH (UID %d %b BODY[HEADER.FIELDS (X)]<0> {%d}\r\n%b)" % (
        uid,
        date_time,
        size,
        content,
    )


async def test_the_last_message_is_not_a_new_one() -> None:
    steps = {b"EXAMINE": EXAMINE, b"FETCH": answer(b"OK", header(7))}
    async with scripted(steps) as server:
        report = await server.scan(Position("INBOX", 5, 8))
        said = server.said
    assert (outcome(report.session), report.messages) == (DONE, ())
    assert report.positions == (Position("INBOX", 5, 9),)
    assert said[1].startswith(
        b"UID FETCH 8:* (UID INTERNALDATE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID"
    )
    assert said[1].endswith(b")]<0.16384>)")


async def test_what_arrives_meanwhile_is_seen() -> None:
    steps = {b"EXAMINE": EXAMINE, b"FETCH": answer(b"OK", header(8), header(12), header(12))}
    async with scripted(steps) as server:
        report = await server.scan(Position("INBOX", 5, 8))
    assert [message.uid for message in report.messages] == [8, 12]
    assert report.positions == (Position("INBOX", 5, 13),)


@pytest.mark.parametrize("date", [b"NIL", b'"01-Jan-0001 00:00:00 +0000"', b'"today"'])
async def test_a_message_whose_time_of_arrival_cannot_be_read_is_seen(date: bytes) -> None:
    known = b'"01-May-2026 12:00:00 +0000"'
    assert known in header(8)
    steps = {b"EXAMINE": EXAMINE, b"FETCH": answer(b"OK", header(8).replace(known, date))}
    async with scripted(steps) as server:
        report = await server.scan(Position("INBOX", 5, 8))
    assert [(message.uid, message.received_at) for message in report.messages] == [(8, None)]


@pytest.mark.parametrize(
    "told", [b"SEARCH 15000 90 99999999", b'ESEARCH (TAG "x") UID ALL 90,15000,99999999']
)
async def test_a_sparse_mailbox_is_searched_by_uid(told: bytes) -> None:
    """A server of IMAP4rev2 alone answers with ESEARCH (RFC 9051 section 6.4.4)."""
    sparse = answer(b"OK", b"3 EXISTS", b"OK [UIDVALIDITY 5] x", b"OK [UIDNEXT 900000] x")
    steps = {
        b"EXAMINE": sparse,
        b"SEARCH": answer(b"OK", told),
        b"FETCH": answer(b"OK", header(90), header(91), header(15000)),
    }
    async with scripted(steps) as server:
        report = await server.scan(Position("INBOX", 5, 8))
        said = server.said
    assert [message.uid for message in report.messages] == [90, 15000]
    assert report.positions == (Position("INBOX", 5, 20_009),)
    assert said[1] == b"UID SEARCH UID 8:20008"
    assert said[2].startswith(b"UID FETCH 90,15000 ")


async def test_a_server_that_tells_no_next_uid() -> None:
    steps = {
        b"EXAMINE": answer(b"OK", b"3 EXISTS", b"OK [UIDVALIDITY 5] x"),
        b"SEARCH": answer(b"OK", b"SEARCH 8"),
        b"FETCH": answer(b"OK", header(8)),
    }
    async with scripted(steps) as server:
        report = await server.scan(Position("INBOX", 5, 8))
    assert report.positions == (Position("INBOX", 5, 9),)


async def test_positions_where_status_is_refused() -> None:
    async with scripted({b"LIST": NO, b"STATUS": NO, b"EXAMINE": EXAMINE}) as server:
        report = await server.scan()
    assert (outcome(report.session), report.positions) == (DONE, (Position("INBOX", 5, 9),))
    bare = answer(b"OK", b"3 EXISTS")
    async with scripted({b"LIST": NO, b"STATUS": NO, b"EXAMINE": bare}) as server:
        report = await server.scan()
    assert outcome(report.session) == ("Mailbox", "CapabilityMissing")


BROKEN: dict[str, tuple[Step, tuple[str, str, bool]]] = {
    "no": (NO, ("Mailbox", "ProbeInconclusive", False)),
    "bad": (BAD, ("Mailbox", "ProbeInconclusive", False)),
    "bye": (b"* BYE canary\r\n", ("Mailbox", "ProbeInconclusive", False)),
    "silence": ("stall", ("Mailbox", "ConnectionTimeout", False)),
    "closed": ("close", ("Mailbox", "ProbeInconclusive", False)),
    "endless": ("endless", ("Mailbox", "ProbeInconclusive", False)),
    "too many": (answer(b"OK", *[header(8)] * 19_000), ("Mailbox", "ProbeInconclusive", False)),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_scan_that_is_broken_off_tells_nothing(name: str) -> None:
    step, expected = BROKEN[name]
    async with scripted({b"EXAMINE": EXAMINE, b"FETCH": step}) as server:
        if name != "silence":
            # Bounds of size, and not of time, are to be met, on a busy machine, too.
            server.connector.dialler.deadlines = replace(SOON, command=30, total=60)
        report = await server.scan(Position("INBOX", 5, 8))
    assert verdict(report.session) == expected
    assert (report.positions, report.messages) == ((), ())
    assert ECHO not in repr(report)


@pytest.mark.parametrize("name", ["no", "bye", "silence", "endless"])
async def test_a_history_that_is_broken_off_tells_nothing(name: str) -> None:
    step, expected = BROKEN[name]
    async with scripted({b"EXAMINE": EXAMINE, b"SEARCH": step}) as server:
        report = await server.history(date(2026, 5, 1))
    assert verdict(report.session) == expected
    assert (report.days, report.complete) == ({}, False)


ONE_FIELD = b"(UID INTERNALDATE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]<0.512>)"


async def test_what_is_there_again_is_told_by_its_message_id() -> None:
    first, second = b"Message-ID: <a@x>\r\n\r\n", b"message-id:\r\n <b@x>\r\n\r\n"
    uids = {1: first, 2: second, 3: first, 4: b"\r\n", 5: b"\r\n", 6: first}
    search = answer(b"OK", b"SEARCH 1 2 3 4 5 6")
    told = answer(b"OK", *(header(uid, content) for uid, content in uids.items()))
    async with scripted({b"EXAMINE": EXAMINE, b"SEARCH": search, b"FETCH": told}) as server:
        report = await server.history(date(2026, 5, 1))
        later = await server.history(date(2026, 5, 2))
    assert (sum(report.days.values()), report.duplicates) == (6, 2)
    assert (later.days, later.duplicates) == ({}, 0)


@pytest.mark.parametrize("found", [b"SEARCH 3 4 5", b'ESEARCH (TAG "x") UID ALL 3:5'])
async def test_days_that_a_server_makes_up_are_not_counted(found: bytes) -> None:
    told = answer(
        b"OK",
        b'1 FETCH (UID 3 INTERNALDATE "01-May-2026 23:30:00 -0200")',
        b'1 FETCH (UID 4 INTERNALDATE "30-Apr-2026 23:59:59 +0000")',
        b'1 FETCH (UID 5 INTERNALDATE "99-May-2026 00:00:00 +0000")',
        b'1 FETCH (UID 9 INTERNALDATE "01-May-2026 00:00:00 +0000")',
    )
    search = answer(b"OK", found)
    async with scripted({b"EXAMINE": EXAMINE, b"SEARCH": search, b"FETCH": told}) as server:
        report = await server.history(date(2026, 5, 1))
        said = server.said
    assert report.days == {date(2026, 5, 2): 1}
    assert said[1:] == [b"UID SEARCH SINCE 30-Apr-2026", b"UID FETCH 3:5 " + ONE_FIELD]


async def test_twenty_thousand_uids_fit_into_an_answer() -> None:
    uids = b" ".join(b"%d" % uid for uid in range(4_000_000_000, 4_000_000_000 + 40_000, 2))
    many = answer(b"OK", b"99999 EXISTS")
    steps = {b"EXAMINE": many, b"SEARCH": answer(b"OK", b"SEARCH " + uids), b"FETCH": OK}
    async with scripted(steps) as server:
        report = await server.history(date(2026, 5, 1))
        said = server.said
    assert (outcome(report.session), report.complete) == (DONE, False)
    assert said[1] == b"UID SEARCH 80000:* SINCE 30-Apr-2026"
    assert max(map(len, said)) < 8192


PROOF = "0123456789abcdef0123456789abcdef"
OURS = b"X-Postroom-Probe: v1 a b 0123456789abcdef0123456789abcdef\r\n\r\n"
REMOVAL = Removal("INBOX", 5, 8, PROOF)
SELECTED = answer(b"OK [READ-WRITE]", b"3 EXISTS", b"OK [UIDVALIDITY 5] x")


def removing(**others: Step) -> dict[bytes, Step]:
    return {
        b"SELECT": SELECTED,
        b"FETCH": answer(b"OK", header(8, OURS)),
        **{name.encode(): step for name, step in others.items()},
    }


def verbs(server: Scripted) -> list[bytes]:
    words = [one.split() for one in server.said]
    return [b" ".join(word[:2]) if word[0] == b"UID" else word[0] for word in words]


@pytest.mark.parametrize("capability", [b"UIDPLUS", b"IDLE"])
async def test_only_what_can_be_removed_alone_is_expunged(capability: bytes) -> None:
    async with scripted(removing(STORE=OK, EXPUNGE=OK), capability) as server:
        report = await server.remove(REMOVAL)
        said = server.said
    assert report.removed == (REMOVAL,)
    assert said[2] == b"UID STORE 8 +FLAGS.SILENT (\\Deleted)"
    assert said[3:] == ([b"UID EXPUNGE 8"] if capability == b"UIDPLUS" else [])


@pytest.mark.parametrize(
    ("capabilities", "verb"), [((b"MOVE", b"UIDPLUS"), b"UID MOVE"), ((), b"UID COPY")]
)
async def test_at_gmail_it_goes_to_the_trash(capabilities: tuple[bytes, ...], verb: bytes) -> None:
    listing = answer(b"OK", b'LIST (\\Trash) "/" "[Gmail]/Papierkorb &- Co"')
    steps = removing(LIST=listing, MOVE=OK, COPY=OK)
    async with scripted(steps, b"X-GM-EXT-1", *capabilities) as server:
        report = await server.remove(REMOVAL)
        said = server.said
    assert report.removed == (REMOVAL,)
    assert said[-1] == verb + b' 8 "[Gmail]/Papierkorb &- Co"'


async def test_at_gmail_without_trash_it_stays() -> None:
    async with scripted(removing(LIST=NO), b"X-GM-EXT-1", b"UIDPLUS") as server:
        report = await server.remove(REMOVAL)
        asked = verbs(server)
    assert (outcome(report.session), report.removed) == (DONE, ())
    assert asked == [b"LIST", b"SELECT", b"UID FETCH"]


@pytest.mark.parametrize(
    "told",
    [
        answer(b"OK", header(9, OURS)),
        answer(b"OK", header(8, OURS), header(8, b"Subject: x\r\n\r\n")),
        answer(b"OK", b"1 FETCH (UID 8)"),
        answer(b"NO", header(8, OURS)),
    ],
)
async def test_a_message_whose_proof_is_not_told_stays(told: Step) -> None:
    async with scripted({**removing(), b"FETCH": told}, b"UIDPLUS") as server:
        report = await server.remove(REMOVAL)
        asked = verbs(server)
    assert (outcome(report.session), report.removed) == (DONE, ())
    assert asked == [b"SELECT", b"UID FETCH"]


async def test_what_was_removed_counts_even_where_the_rest_is_broken_off() -> None:
    other = Removal("Junk", 5, 3, PROOF)
    steps = {**removing(STORE=OK), b"SELECT": SELECTED}
    async with scripted({b'"JUNK"': "close", **steps}) as server:
        report = await server.remove(REMOVAL, other)
    assert outcome(report.session) == ("Mailbox", "ProbeInconclusive")
    assert report.removed == (REMOVAL,)


async def test_a_flag_that_is_refused_removes_nothing() -> None:
    async with scripted(removing(STORE=NO), b"UIDPLUS") as server:
        report = await server.remove(REMOVAL)
        asked = verbs(server)
    assert report.removed == ()
    assert asked[-1] == b"UID STORE"
