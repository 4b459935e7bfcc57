# SPDX-License-Identifier: Apache-2.0
"""The lab's mailboxes: what IMAP and SMTP need of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from postroom.lab.mailboxes import Account, Accounts, Mailbox, Message

CONTENT = b"From: a@example.com\r\nSubject: a\r\n folded\r\nX: y\r\n\r\nbody\r\n"


def message() -> Message:
    return Message(7, CONTENT, datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("items", "name", "content"),
    [
        ("BODY[]", "]", CONTENT),
        ("BODY.PEEK[HEADER]", "HEADER]", CONTENT.removesuffix(b"body\r\n")),
        (
            "UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]",
            "HEADER.FIELDS (SUBJECT)]",
            b"Subject: a\r\n folded\r\n\r\n",
        ),
        (
            "BODY[HEADER.FIELDS (X FROM )]",
            "HEADER.FIELDS (X FROM)]",
            b"From: a@example.com\r\nX: y\r\n\r\n",
        ),
        ("BODY[HEADER.FIELDS (X)]<1.3>", "HEADER.FIELDS (X)]<1>", b": y"),
        ("BODY[HEADER.FIELDS (NONE)]", "HEADER.FIELDS (NONE)]", b"\r\n"),
    ],
)
def test_sections(items: str, name: str, content: bytes) -> None:
    assert message().section(items) == (name, content)


def test_facts_of_a_mailbox() -> None:
    mailbox = Mailbox()
    mailbox.deliver(b"12345")
    mailbox.deliver(b"123").flags.add("\\Seen")
    assert mailbox.facts() == {
        "MESSAGES": 2,
        "UNSEEN": 1,
        "UIDNEXT": 3,
        "UIDVALIDITY": 1,
        "RECENT": 0,
        "SIZE": 8,
    }


def test_inbox_is_found_in_any_case_and_others_by_their_name() -> None:
    account = Account("a@example.com", "x")
    assert account.mailbox("inBox") is account.mailboxes["INBOX"]
    assert account.mailbox("Junk") is account.mailboxes["Junk"]
    assert account.mailbox("junk") is None


@pytest.mark.parametrize(
    ("numbers", "by_uid", "indices"),
    [
        ("1", False, [1]),
        ("2:*", False, [2, 3]),
        ("*:2", False, [2, 3]),
        ("1,3", False, [1, 3]),
        ("4", False, []),
        ("2", True, []),
        ("3:9", True, [2, 3]),
        ("*", True, [3]),
    ],
)
def test_sequence_sets(numbers: str, by_uid: bool, indices: list[int]) -> None:
    mailbox = Mailbox()
    for _ in range(4):
        mailbox.deliver(b"")
    del mailbox.messages[1]
    chosen = mailbox.chosen(numbers, by_uid=by_uid)
    assert [index for index, _ in chosen] == indices
    assert all(mailbox.messages[index - 1] is found for index, found in chosen)


def test_searching() -> None:
    mailbox = Mailbox()
    for day in (1, 2, 3):
        mailbox.deliver(b"").received = datetime(2026, 1, day, tzinfo=UTC)
    mailbox.messages[0].flags.add("\\Deleted")

    def found(*criteria: str) -> list[int]:
        return [index for index, _ in mailbox.found(list(criteria))]

    assert found("ALL") == [1, 2, 3]
    assert found("SINCE", "2-Jan-2026") == [2, 3]
    assert found("DELETED") == [1]
    assert found("UID", "2:3", "SINCE", "3-Jan-2026") == [3]
    assert found("1:2") == [1, 2]
    with pytest.raises(ValueError, match="does not match"):
        found("SINCE", "yesterday")


def test_mailboxes_come_and_go_each_with_a_number_of_its_own() -> None:
    account = Account("a@example.com", "x")
    first = account.create("Entw&APw-rfe")
    account.rename("Entw&APw-rfe", "Old")
    second = account.create("Entw&APw-rfe")
    assert account.mailbox("Old") is first
    assert first.uid_validity != second.uid_validity
    for name in ("inbox", "Old", ""):
        with pytest.raises(ValueError, match="of this name"):
            account.create(name)
    with pytest.raises(ValueError, match="of this name"):
        account.rename("Old", "Junk")
    account.delete("Old")
    assert (account.mailbox("Old"), first.uid_validity) == (None, 0)


def test_a_mailbox_that_is_made_anew() -> None:
    mailbox = Mailbox()
    for content in (b"a", b"b", b"c"):
        mailbox.deliver(content)
    gone = mailbox.messages[0]
    mailbox.expunge([gone])
    assert not mailbox.holds(gone)
    mailbox.make_anew()
    assert [(message.uid, message.content) for message in mailbox.messages] == [
        (1, b"b"),
        (2, b"c"),
    ]
    assert (mailbox.uid_validity, mailbox.uid_next) == (2, 3)


def test_accounts_are_welcomed_and_found_in_any_case() -> None:
    accounts = Accounts({"A@example.com": "right"})
    account = accounts.authenticate("a@EXAMPLE.com", "right")
    assert account is not None
    assert accounts.authenticate("a@example.com", "wrong") is None
    inbox = account.mailboxes["INBOX"]
    assert [b"Subject: Message %d of the lab" % number in held.content for number, held in
            enumerate(inbox.messages, 1)] == [True, True, True]  # fmt: skip
    assert accounts.deliver("a@example.com", b"more")
    assert inbox.messages[-1].content == b"more"
    assert not accounts.deliver("b@example.com", b"more")
