# SPDX-License-Identifier: Apache-2.0
"""The lab's IMAP server, as the client of the standard library finds it.

Covers: signing in by LOGIN and PLAIN, what is refused before; mailboxes and their facts; reading
without a trace, flags, removal by UID, moving; and that an examined mailbox is not changed.
"""

from __future__ import annotations

import asyncio
import base64
import imaplib
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from loopback import own_address
from postroom.lab.certificates import authority, server_context
from postroom.lab.imap import LabImap
from postroom.lab.mailboxes import Account, Accounts

ME, PASSWORD = "me@example.com", 'right "\\'
ADDRESS, PORT = own_address(61), 10993
Result = TypeVar("Result")


class Lab:
    """The running server, the one account behind it, and a client for it."""

    def __init__(self, server: LabImap, account: Account, trusting: ssl.SSLContext) -> None:
        self.server, self.account, self._trusting = server, account, trusting

    async def told(
        self, talk: Callable[[imaplib.IMAP4_SSL], Result], *, login: bool = True
    ) -> Result:
        """What a conversation comes to, in a thread, as the library waits for each answer."""

        def converse() -> Result:
            with imaplib.IMAP4_SSL(ADDRESS, PORT, ssl_context=self._trusting, timeout=60) as client:
                if login:
                    client.login(ME, PASSWORD)
                return talk(client)

        return await asyncio.to_thread(converse)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    ca, accounts = authority(tmp_path), Accounts({ME: PASSWORD})
    running = LabImap(accounts, server_context(ca), ADDRESS, PORT)
    await running.start()
    account = accounts.authenticate(ME, PASSWORD)
    assert account is not None
    trusting = ssl.create_default_context(cadata=ca.cert_pem.bytes().decode())
    trusting.check_hostname = False
    yield Lab(running, account, trusting)
    await running.stop()


def leave(client: imaplib.IMAP4_SSL) -> None:
    """Close a connection that the server has ended."""
    client.shutdown()
    client.state = "LOGOUT"


def texts(answer: tuple[str, list[bytes]]) -> tuple[str, list[str]]:
    return answer[0], [line.decode() for line in answer[1] if line is not None]


async def test_who_has_not_signed_in_reads_nothing(lab: Lab) -> None:
    wrong = base64.b64encode(f"\0{ME}\0wrong".encode()).decode()

    def talk(client: imaplib.IMAP4_SSL) -> list[str]:
        said = []
        for command in (
            f"LOGIN {ME} wrong",
            f"LOGIN {ME}",
            f"AUTHENTICATE PLAIN {wrong}",
            "AUTHENTICATE PLAIN bm8gc2VwYXJhdG9ycw==",
            "AUTHENTICATE LOGIN",
            "SELECT INBOX",
            "FETCH 1 BODY[]",
        ):
            client.send(f"x {command}\r\n".encode())
            said.append(client.readline().decode().strip())
        return said

    assert await lab.told(talk, login=False) == [
        "x NO [AUTHENTICATIONFAILED] wrong credentials",
        "x BAD LOGIN takes a user and a password",
        "x NO [AUTHENTICATIONFAILED] wrong credentials",
        "x BAD that is no PLAIN response",
        "x NO [CANNOT] only PLAIN",
        "x BAD unknown command",
        "x BAD unknown command",
    ]


async def test_plain_is_taken_in_one_line_and_in_two(lab: Lab) -> None:
    def in_two(client: imaplib.IMAP4_SSL) -> str:
        return client.authenticate("PLAIN", lambda _: f"\0{ME}\0{PASSWORD}".encode())[0]

    def in_one(client: imaplib.IMAP4_SSL) -> str:
        response = base64.b64encode(f"\0{ME}\0{PASSWORD}".encode()).decode()
        return client.xatom("AUTHENTICATE", "PLAIN", response)[0]

    assert await lab.told(in_two, login=False) == "OK"
    assert await lab.told(in_one, login=False) == "OK"


async def test_mailboxes_and_their_facts(lab: Lab) -> None:
    lab.account.mailboxes["INBOX"].messages[0].flags.add("\\Seen")

    def talk(client: imaplib.IMAP4_SSL) -> list[tuple[str, list[str]]]:
        return [
            texts(client.list()),
            texts(client.status("INBOX", "(MESSAGES UNSEEN UIDNEXT NONSENSE)")),
            texts(client.status("Nowhere", "(MESSAGES)")),
        ]

    listed, status, nowhere = await lab.told(talk)
    assert '() "/" "INBOX"' in listed[1]
    assert '(\\Junk) "/" "Junk"' in listed[1]
    assert status == ("OK", ['"INBOX" (MESSAGES 3 UNSEEN 2 UIDNEXT 4)'])
    assert nowhere == ("NO", ["[NONEXISTENT] no such mailbox"])


async def test_a_look_leaves_no_trace_and_reads_what_is_asked(lab: Lab) -> None:
    inbox = lab.account.mailboxes["INBOX"]
    inbox.deliver(b"Subject: four\r\nX: y\r\n\r\nbody\r\n")

    def talk(client: imaplib.IMAP4_SSL) -> tuple[object, ...]:
        count = client.select("INBOX", readonly=True)[1]
        items = "(UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
        fetched = client.uid("FETCH", "4", items)[1]
        searched = client.uid("SEARCH", "UID", "3:*")[1]
        stored = client.uid("STORE", "4", "+FLAGS", r"(\Deleted)")[0]
        return count, fetched, searched, stored, client.expunge()[0]

    count, fetched, searched, stored, expunged = await lab.told(talk)
    assert count == [b"4"]
    assert fetched == [
        (
            b"4 (UID 4 FLAGS () RFC822.SIZE 29 BODY[HEADER.FIELDS (SUBJECT)] {17}",
            b"Subject: four\r\n\r\n",
        ),
        b")",
    ]
    assert searched == [b"3 4"]
    assert (stored, expunged) == ("NO", "NO")
    assert [message.flags for message in inbox.messages] == [set()] * 4


async def test_by_uid_one_message_goes_and_others_that_are_marked_stay(lab: Lab) -> None:
    """RFC 4315 section 2.1."""
    inbox = lab.account.mailboxes["INBOX"]

    def talk(client: imaplib.IMAP4_SSL) -> list[str]:
        client.select("INBOX")
        said = [client.uid("STORE", "1:2", "+FLAGS", r"(\Deleted \Seen)")[0]]
        said.append(client.uid("EXPUNGE", "2")[0])
        said.append(client.uid("STORE", "1", "-FLAGS.SILENT", r"(\Deleted)")[0])
        said.append(client.expunge()[0])
        return said

    assert await lab.told(talk) == ["OK"] * 4
    assert [(message.uid, message.flags) for message in inbox.messages] == [
        (1, {"\\Seen"}),
        (3, set()),
    ]


async def test_a_message_moves_to_where_there_is_a_mailbox(lab: Lab) -> None:
    inbox, trash = lab.account.mailboxes["INBOX"], lab.account.mailboxes["Trash"]
    moved = inbox.messages[1].content

    def talk(client: imaplib.IMAP4_SSL) -> list[str]:
        client.select("INBOX")
        return [
            client.uid("MOVE", "2", "Nowhere")[0],
            client.uid("MOVE", "2", "Trash")[0],
        ]

    assert await lab.told(talk) == ["NO", "OK"]
    assert [message.uid for message in inbox.messages] == [1, 3]
    assert [message.content for message in trash.messages] == [moved]


async def test_what_makes_no_sense_is_said_and_ends_nothing(lab: Lab) -> None:
    def talk(client: imaplib.IMAP4_SSL) -> list[str]:
        client.select("INBOX")
        said = []
        for command in (("FETCH", "x", "FLAGS"), ("STORE", "1"), ("SEARCH", "SINCE", "yesterday")):
            try:
                said.append(client.uid(*command)[0])
            except imaplib.IMAP4.error as error:
                said.append(str(error))
        return [*said, client.noop()[0]]

    *refused, alive = await lab.told(talk)
    assert all("BAD" in each for each in refused)
    assert alive == "OK"


async def test_mail_is_appended_octet_for_octet(lab: Lab) -> None:
    content = b'Subject: raw\r\n\r\n\x00\xff\\ "\n'

    def talk(client: imaplib.IMAP4_SSL) -> list[str]:
        moment = '"02-Jan-2026 03:04:05 +0100"'
        said = [client.create("Entw&APw-rfe")[0]]
        # `append` itself would change bare line feeds.
        client.literal = content
        said.append(client._simple_command("APPEND", "Entw&APw-rfe", r"(\Seen)", moment)[0])
        client.literal = content
        said.append(client._simple_command("APPEND", "inbox")[0])
        client.literal = content
        said.append(client._simple_command("APPEND", "Nowhere")[0])
        return said

    assert await lab.told(talk) == ["OK", "OK", "OK", "NO"]
    (message,) = lab.account.mailboxes["Entw&APw-rfe"].messages
    assert (message.content, message.flags) == (content, {"\\Seen"})
    assert message.received == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert lab.account.mailboxes["INBOX"].messages[-1].content == content


async def test_mailboxes_are_made_renamed_renumbered_and_removed(lab: Lab) -> None:
    def talk(client: imaplib.IMAP4_SSL) -> list[str]:
        return [
            client.create("A")[0],
            client.create("A")[0],
            client.rename("A", "B")[0],
            client.rename("A", "C")[0],
            client.delete("B")[0],
            client.delete("INBOX")[0],
            client.xatom("XRENUMBER", "INBOX")[0],
        ]

    assert await lab.told(talk) == ["OK", "NO", "OK", "NO", "OK", "NO", "OK"]
    assert set(lab.account.mailboxes) == {"INBOX", "Junk", "Sent", "Trash"}
    assert lab.account.mailboxes["INBOX"].uid_validity == 2


async def test_who_idles_hears_at_once(lab: Lab) -> None:
    """RFC 2177."""
    loop, inbox = asyncio.get_running_loop(), lab.account.mailboxes["INBOX"]

    def talk(client: imaplib.IMAP4_SSL) -> list[bytes]:
        client.select("INBOX", readonly=True)
        client.send(b"x IDLE\r\n")
        said = [client.readline()]
        loop.call_soon_threadsafe(inbox.deliver, b"four")
        said.append(client.readline())
        loop.call_soon_threadsafe(inbox.expunge, inbox.messages[:1])
        said.append(client.readline())
        client.send(b"DONE\r\n")
        said.append(client.readline())
        client.send(b"y IDLE\r\n")
        client.readline()
        loop.call_soon_threadsafe(inbox.make_anew)
        said.append(client.readline())
        leave(client)
        return said

    assert [line.split()[1] for line in await lab.told(talk)] == [
        b"idling",
        b"4",
        b"1",
        b"OK",
        b"BYE",
    ]


async def test_sessions_end_with_the_server(lab: Lab) -> None:
    loop = asyncio.get_running_loop()

    def talk(client: imaplib.IMAP4_SSL) -> str:
        loop.call_soon_threadsafe(lab.server.hang_up)
        try:
            return client.noop()[0]
        except (imaplib.IMAP4.abort, OSError):
            leave(client)
            return "ended"

    assert await lab.told(talk) == "ended"


async def test_a_taken_port_is_an_error(lab: Lab, tmp_path: Path) -> None:
    again = LabImap(Accounts({}), server_context(authority(tmp_path)), ADDRESS, PORT)
    with pytest.raises(OSError, match="in use"):
        await again.start()
    await again.stop()
