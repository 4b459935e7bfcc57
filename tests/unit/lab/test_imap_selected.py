# SPDX-License-Identifier: Apache-2.0
"""A selected mailbox of the lab, as two clients of the standard library find it at the same time.

Covers: parts of messages and what reading marks; what another session changed, told when it may be;
IDLE; APPEND, COPY, and mailboxes that come, go and are numbered anew.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from postroom.lab.imap_selected import Selected
from postroom.lab.mailboxes import Account, Mailbox

CONTENT = b"Subject: a\r\n\r\nbody \x00\xff\n"


class Session:
    """One session's view; `sent` is what it was told since it was asked last."""

    def __init__(self, account: Account, mailbox: Mailbox, *, read_only: bool = True) -> None:
        self._sent: list[bytes] = []
        self.selected = Selected(account, mailbox, self._send, read_only=read_only)

    def _send(self, line: str | bytes) -> None:
        self._sent.append(line if isinstance(line, bytes) else line.encode() + b"\r\n")

    @property
    def sent(self) -> bytes:
        told, self._sent = b"".join(self._sent), []
        return told

    def does(self, command: str, *, by_uid: bool = True) -> tuple[str, bytes]:
        name, *words = command.split(" ", 2)
        return self.selected.execute(name, words, by_uid), self.sent


@pytest.fixture
def account() -> Account:
    made = Account("a@example.com", "x")
    for _ in range(3):
        made.mailboxes["INBOX"].deliver(CONTENT, datetime(2026, 1, 2, tzinfo=UTC))
    return made


@pytest.fixture
def session(account: Account) -> Session:
    return Session(account, account.mailboxes["INBOX"])


def test_what_opening_tells(session: Session) -> None:
    assert session.selected.introduce() == "OK [READ-ONLY] done"
    told = session.sent.decode()
    assert "* 3 EXISTS\r\n" in told
    assert "[UIDVALIDITY 1]" in told
    assert "[UIDNEXT 4]" in told


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("BODY.PEEK[]", b"BODY[] {22}\r\n" + CONTENT),
        ("BODY.PEEK[]<0.3>", b"BODY[]<0> {3}\r\nSub"),
        ("BODY.PEEK[]<20.9>", b"BODY[]<20> {2}\r\n\xff\n"),
        ("BODY.PEEK[]<22.9>", b"BODY[]<22> {0}\r\n"),
        ("BODY.PEEK[HEADER]<9.9>", b"BODY[HEADER]<9> {5}\r\na\r\n\r\n"),
        ("BODY.PEEK[TEXT]", b"BODY[TEXT] {8}\r\nbody \x00\xff\n"),
    ],
)
def test_parts_of_messages(session: Session, asked: str, told: bytes) -> None:
    assert session.does(f"FETCH 2 (UID {asked})") == (
        "OK done",
        b"* 2 FETCH (UID 2 " + told + b")\r\n",
    )


def test_only_a_selected_mailbox_is_marked_and_only_without_peek(account: Account) -> None:
    inbox = account.mailboxes["INBOX"]
    Session(account, inbox).does("FETCH 1 BODY[]")
    writing = Session(account, inbox, read_only=False)
    writing.does("FETCH 2 BODY.PEEK[]")
    assert b"FLAGS (\\Seen)" in writing.does("FETCH 3 BODY[]")[1]
    assert [message.flags for message in inbox.messages] == [set(), set(), {"\\Seen"}]


def test_what_others_did_is_told_when_it_may_be(account: Account, session: Session) -> None:
    inbox = account.mailboxes["INBOX"]
    inbox.expunge(inbox.messages[:1])
    inbox.deliver(CONTENT)
    # Numbers stay while they are in use, and who is gone is left out.
    assert session.does("FETCH 1:2 FLAGS", by_uid=False)[1] == (
        b"* 2 FETCH (UID 2 FLAGS ())\r\n* 4 EXISTS\r\n"
    )
    assert session.does("CHECK")[1] == b"* 1 EXPUNGE\r\n"
    assert session.does("SEARCH UID 1:*")[1] == b"* SEARCH 2 3 4\r\n"


def test_copies_keep_their_time_and_flags(account: Account, session: Session) -> None:
    inbox, junk = account.mailboxes["INBOX"], account.mailboxes["Junk"]
    inbox.messages[1].flags.add("\\Flagged")
    assert session.does("COPY 2 Junk")[0] == "OK done"
    assert session.does("COPY 2 Nowhere")[0].startswith("NO [TRYCREATE]")
    assert session.does("MOVE 2 Junk")[0].startswith("NO [READ-ONLY]")
    (copy,) = junk.messages
    assert (copy.received, copy.flags) == (inbox.messages[1].received, {"\\Flagged"})


def test_a_mailbox_that_is_made_anew_or_deleted_is_gone(account: Account) -> None:
    for change in (account.mailboxes["INBOX"].make_anew, lambda: account.delete("Junk")):
        inbox = Session(account, account.mailboxes["INBOX"]).selected
        junk = Session(account, account.mailboxes["Junk"]).selected
        change()
        assert [inbox.is_gone, junk.is_gone].count(True) == 1


async def test_who_watches_is_told(account: Account) -> None:
    changed = asyncio.Event()
    account.mailboxes["INBOX"].watchers.add(changed.set)
    account.mailboxes["INBOX"].deliver(CONTENT)
    assert changed.is_set()
