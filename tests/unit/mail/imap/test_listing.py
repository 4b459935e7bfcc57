# SPDX-License-Identifier: Apache-2.0
"""Mailboxes as LIST and NAMESPACE tell of them: special uses, names, and where mail arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.imap.listing import (
    Listed,
    Namespace,
    list_command,
    listed,
    mailbox_name,
    personal_namespace,
    special_uses,
    where_mail_arrives,
)
from postroom.mail.imap.text import modified_utf7


def mailbox(name: str, delimiter: str | None = "/", *uses: str) -> Listed:
    return Listed(name, delimiter, frozenset(uses))


@pytest.mark.parametrize(
    ("name", "delimiter", "leaf"),
    [
        ("Spam", "/", "Spam"),
        ("INBOX.Spam", ".", "Spam"),
        ("INBOX.Spam", "/", "INBOX.Spam"),
        ("a/b/Junk E-mail", "/", "Junk E-mail"),
        ("a/b/", "/", ""),
        ("Bulk Mail", None, "Bulk Mail"),
    ],
)
def test_the_last_part_of_a_name(name: str, delimiter: str | None, leaf: str) -> None:
    assert mailbox(name, delimiter).leaf == leaf


def test_a_special_use_goes_before_a_name() -> None:
    found = where_mail_arrives([mailbox("Spam"), mailbox("Werbung", "/", "Junk")])
    assert found == {"Junk": "Werbung"}


def test_without_a_special_use_the_first_by_name_is_for_junk() -> None:
    mailboxes = [mailbox("Spam"), mailbox("INBOX/junk"), mailbox("Spamming"), mailbox("All")]
    assert where_mail_arrives(mailboxes) == {"Junk": "INBOX/junk"}


def test_all_mail_is_known_by_its_special_use_alone() -> None:
    assert where_mail_arrives([mailbox("All"), mailbox("x", "/", "All")]) == {"All": "x"}


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
