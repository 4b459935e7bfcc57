# SPDX-License-Identifier: Apache-2.0
"""How IMAP writes names and passwords, read back by a reader of quoted strings and literals; and
the counts of a mailbox in answers of every shape."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.imap.examine import mailbox_of
from postroom.mail.imap.text import login_arguments, modified_utf7, quoted
from postroom.mail.report import Mailbox

SENDABLE = st.text(alphabet=st.characters(exclude_characters="\x00\r\n", codec="utf-8"))


def read_back(arguments: list[str], answers: list[bytes]) -> list[str]:
    """What a server reads: the line, and after each literal the rest of the next."""
    found: list[str] = []
    rest, queue = " ".join(arguments).encode(), list(answers)
    while rest:
        if literal := re.match(rb"\{(\d+)\}$", rest):
            size = int(literal[1])
            sent = queue.pop(0)
            found.append(sent[:size].decode())
            rest = sent[size:].lstrip(b" ")
            continue
        string = re.match(rb'"((?:[^"\\]|\\["\\])*)" ?', rest)
        assert string
        found.append(re.sub(rb"\\(.)", rb"\1", string[1], flags=re.DOTALL).decode())
        rest = rest[string.end() :]
    assert queue == []
    return found


@given(SENDABLE, SENDABLE)
def test_a_server_reads_the_credentials_that_were_meant(username: str, password: str) -> None:
    arguments, answers = login_arguments(username, password)
    assert read_back(arguments, answers) == [username, password]


@given(SENDABLE)
def test_quoted_strings_are_ascii_when_used_for_logins(text: str) -> None:
    arguments, _ = login_arguments(text, text)
    assert all(argument.isascii() for argument in arguments)


@pytest.mark.parametrize("bad", ["a\r\nb", "a\nb", "a\rb", "a\0b"])
def test_line_ends_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="line end"):
        quoted(bad)
    with pytest.raises(ValueError, match="line end"):
        login_arguments("user", bad)
    with pytest.raises(ValueError, match="line end"):
        login_arguments(bad, "password")


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX", "INBOX"),
        ("A&B", "A&-B"),
        ("Entwürfe", "Entw&APw-rfe"),
        ("日本語", "&ZeVnLIqe-"),
        # RFC 3501 section 5.1.3
        ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ],
)
def test_mailbox_names(name: str, wire: str) -> None:
    assert modified_utf7(name) == wire


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_mailbox_names_can_be_read_back(name: str) -> None:
    def decode(match: re.Match[str]) -> str:
        if match[1] == "":
            return "&"
        packed = match[1].replace(",", "/")
        return base64.b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-16-be")

    wire = modified_utf7(name)
    assert re.fullmatch(r"[\x20-\x7e]*", wire)
    assert re.sub(r"&([^-]*)-", decode, wire) == name


STATUS = b'STATUS "INBOX" (MESSAGES 7 UNSEEN 2 UIDNEXT 99 UIDVALIDITY 5)'


@pytest.mark.parametrize(
    ("counted", "opened", "mailbox"),
    [
        ([STATUS], [b"7 EXISTS"], Mailbox("INBOX", 7, 2, 99, 5)),
        ([b"8 EXISTS", STATUS, b"OK hello (x)"], [b"8 EXISTS"], Mailbox("INBOX", 7, 2, 99, 5)),
        ([b'STATUS "(MESSAGES 1)" (messages 7)'], [], Mailbox("INBOX", 7, None, None, None)),
        ([b"STATUS {5}", b"INBOX", b" (MESSAGES 3)"], [], Mailbox("INBOX", 3, None, None, None)),
        # Keywords are what users made them (RFC 9051 section 7.3.5).
        (
            [STATUS, b"FLAGS (MESSAGES 1 UIDNEXT 2)", b"OK [PERMANENTFLAGS (MESSAGES 3)] x"],
            [],
            Mailbox("INBOX", 7, 2, 99, 5),
        ),
        (
            [],
            [b"FLAGS (UIDNEXT 2 UIDVALIDITY 3 8 EXISTS)", b"3 EXISTS", b"OK [UIDNEXT 4] x"],
            Mailbox("INBOX", 3, None, 4, None),
        ),
        # What came in meanwhile.
        ([], [b"3 EXISTS", b"4 EXISTS"], Mailbox("INBOX", 4, None, None, None)),
        ([], [b"3 EXISTS", b"OK [UIDNEXT 4] x"], Mailbox("INBOX", 3, None, 4, None)),
        ([], [b"0 EXISTS"], Mailbox("INBOX", 0, None, None, None)),
        ([], [], None),
        ([b"STATUS INBOX (UNSEEN 2)"], [b"OK [UIDNEXT 4] x"], None),
        ([b"STATUS INBOX (MESSAGES " + b"9" * 30 + b")"], [], None),
    ],
)
def test_counts(counted: list[bytes], opened: list[bytes], mailbox: Mailbox | None) -> None:
    assert mailbox_of("INBOX", counted, opened) == mailbox


@given(st.lists(st.binary(max_size=60)), st.lists(st.binary(max_size=60)))
def test_counts_of_anything_fit_into_status(counted: list[bytes], opened: list[bytes]) -> None:
    found = mailbox_of("INBOX", counted, [b"1 EXISTS", *opened])
    assert found is not None
    for number in (found.messages, found.unseen, found.uid_next, found.uid_validity):
        assert number is None or 0 <= number < 2**63
