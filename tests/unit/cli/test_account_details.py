# SPDX-License-Identifier: Apache-2.0
"""What people see of an account besides its verdict, line by line."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.emailaccount_status import EmailAccountStatus, LastBackfill
from postroom.api.launch import Launch
from postroom.api.status import Use, User
from postroom.cli import account_details
from postroom.cli.account_details import account_lines, server_lines
from unit.cli.samples import RESULT


def told(said: tuple[str, ...] = (), **status: Any) -> list[str]:
    return [line.text for line in account_lines(EmailAccountStatus.model_validate(status), said)]


def lines(result: dict[str, Any]) -> list[str]:
    status = EmailAccountStatus.model_validate({"lastTest": {"nonce": "n", "result": result}})
    assert status.last_test is not None
    return [line.text for line in account_details.result_lines(status.last_test.result)]


def test_result_of_a_test_message() -> None:
    assert lines(RESULT) == [
        "Test message to support@example.com of 2026-11-21T10:01:00Z: DeliveredToSpam in Junk "
        "after 3 s",
        "  The test message was delivered to the junk folder.",
        "  Reason: DeliveredToSpam",
        "  It arrived from other@example.net.",
        "  Authentication: spf=pass, dkim=fail (example.com)",
        "  Warning: SENDER_REWRITTEN: It arrived from another.",
        "  Hops:",
        "    a.example.net  ESMTPSA",
        "    b.example.net  LMTP  +2 s",
    ]


def test_result_of_a_message_that_was_refused() -> None:
    kept = {name: RESULT[name] for name in ("time", "recipient")}
    found = lines({**kept, "outcome": "Failed", "reason": "MessageRejected", "message": "No."})
    assert found[0].endswith(": Failed")
    assert found[1:] == ["  No.", "  Reason: MessageRejected"]


def test_backfill_by_day_and_refused() -> None:
    kept = {"nonce": "n", "time": "2026-11-21T10:01:00Z"}
    days = [{"date": "2026-11-19", "messages": 9}, {"date": "2026-11-20", "messages": 11}]
    done = LastBackfill.model_validate(
        {
            **kept,
            "phase": "Done",
            "reason": "Succeeded",
            "message": "20 messages arrived since 2026-11-14.",
            "messages": 20,
            "days": days,
        }
    )
    assert [line.text for line in account_details.backfill_lines(done)] == [
        "20 messages arrived since 2026-11-14.",
        "  2026-11-19   9",
        "  2026-11-20  11",
    ]
    refused = LastBackfill.model_validate(
        {**kept, "phase": "Refused", "reason": "AuthenticationRejected", "message": "No."}
    )
    assert [line.text for line in account_details.backfill_lines(refused)] == [
        "No.",
        "  Reason: AuthenticationRejected",
    ]


def test_an_account_shows_who_uses_it() -> None:
    users = [User(kind="EmailAccount", name="billing", use=Use.RECEIVER)]
    status = EmailAccountStatus(used_by=users, used_by_count=3)
    texts = [line.text for line in account_lines(status)]
    assert "  Used by EmailAccount billing (Receiver) and 2 more" in texts


def test_a_mailbox_tells_what_is_known_of_it() -> None:
    assert told(mailbox={"name": "INBOX", "messages": 30}) == ["  Mailbox INBOX: 30 messages"]
    assert told(mailbox={"name": "INBOX", "messages": 1}) == ["  Mailbox INBOX: 1 message"]
    whole = {
        "name": "INBOX",
        "messages": 30,
        "unseen": 0,
        "newMessages": 2,
        "newestTime": "2026-11-21T09:00:00Z",
        "octets": {"used": 50, "limit": 0},
        "messageQuota": {"used": 3, "limit": 4},
    }
    assert told(mailbox=whole) == [
        "  Mailbox INBOX: 30 messages, 0 unseen, 2 new",
        "    newest: 2026-11-21T09:00:00Z",
        "    3 of 4 messages used (75%)",
    ]


def test_a_binding_tells_secrets_and_keys_and_each_name_once() -> None:
    both = {"name": "mail", "defaultName": "default-mail", "keys": ["host", "port"]}
    assert told(binding=both) == [
        "  Binding: Secret mail and Secret default-mail",
        "    keys: host, port",
    ]
    assert told(binding={"name": "mail", "defaultName": "mail"}) == ["  Binding: Secret mail"]
    assert told(binding={"keys": ["host"]}) == []


def test_a_message_that_is_under_way_has_no_result() -> None:
    (line,) = account_details.result_lines(None)
    assert line.text == "The message has not come to an end."
    (line,) = account_details.backfill_lines(None)
    assert line.text == "The mailbox was not looked at."


@pytest.mark.parametrize(
    ("kind", "probe", "quoted"),
    [
        (
            "MailServer",
            {"serverText": "no", "code": 535},
            ['The SMTP server\'s own words: "535 no"'],
        ),
        ("MailServer", {"smtp": {"serverText": "no"}}, []),
        ("EmailAccount", {"imap": {"serverText": "no"}}, ['The IMAP server\'s own words: "no"']),
        ("EmailAccount", {"serverText": "no"}, []),
        ("EmailAccount", None, []),
    ],
)
def test_servers_are_quoted_by_protocol(kind: str, probe: Any, quoted: list[str]) -> None:
    raw = {"kind": kind, "status": {"lastProbe": probe}}
    assert [line.text.strip() for line in server_lines(raw)] == quoted


@pytest.mark.parametrize(
    ("states", "rest"),
    [
        ({"SenderName": "Done", "ReplyAddress": "NotNeeded"}, ""),
        ({"SenderName": "Unknown"}, ": unknown: sender name"),
        ({"SenderName": "Open", "SmallBackfill": "Open"}, ": open: sender name, small backfill"),
        (
            {"SenderName": "Unknown", "SmallBackfill": "Open"},
            ": open: small backfill; unknown: sender name",
        ),
    ],
)
def test_the_launch_in_one_line_names_what_is_open_before_what_is_not_known(
    states: dict[str, str], rest: str
) -> None:
    entries = [
        {"item": item, "state": state, "since": "2026-11-21T09:00:00Z", "message": "x"}
        for item, state in states.items()
    ]
    launch = Launch.model_validate({"summary": "1/2", "items": entries})
    assert account_details.launch_summary(launch) == f"launch 1/2{rest}"


def test_an_item_of_the_launch_tells_since_when_where_somebody_asks() -> None:
    entries: list[dict[str, str]] = [
        {"item": "SenderName", "state": "Done", "since": "2026-11-21T09:00:00Z", "message": "x"},
        {"item": "ReplyAddress", "state": "NotNeeded", "message": "y"},
    ]
    launch = Launch.model_validate({"summary": "2/2", "items": entries})
    lines = [" ".join(line.text.split()) for line in account_details.launch_lines(launch)]
    done = "Done SenderName since 2026-11-21T09:00:00Z"
    assert lines == ["Launch: 2/2", done, "NotNeeded ReplyAddress"]


def test_incoming_mail_tells_what_waits_and_what_was_passed_by() -> None:
    when = "2026-11-29T12:00:04Z"
    last = {"mailbox": "INBOX", "uid": 4502, "code": 422}
    assert told(inbound={"waiting": 0}) == ["  Incoming mail: 0 waiting"]
    assert told(
        inbound={"waiting": 3, "deliveredAt": when, "rejected": 1, "lastRejected": last}
    ) == [
        f"  Incoming mail: 3 waiting, last one handed over {when}",
        "    1 passed by, refused for two days; the last: UID 4502 of INBOX, 422",
    ]
    assert told(inbound={"ai": {"enabled": False, "behavior": "Disabled"}}) == []
