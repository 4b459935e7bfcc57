# SPDX-License-Identifier: Apache-2.0
"""What people see of statuses: endpoints and servers that only a provider knows, and of accounts
their mailbox, identities, forwarding steps and messages, whole and in the right place."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from rich.console import Console

from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Kind
from postroom.api.resource import parse_status
from postroom.api.times import timestamp
from postroom.cli import account_details, table
from unit.cli.samples import RESULT

SINCE: dict[str, Any] = {"lastTransitionTime": "2026-11-21T10:00:00Z", "observedGeneration": 1}
WELL = {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "It is.", **SINCE}
READY = [WELL]
VERIFIED_AT = "2026-11-21T02:00:00Z"
BROKEN = [{**WELL, "status": "False", "reason": "NotForwarded", "message": "It is not."}]
STEPS = [f"Step {number} of a long way through the portal of the provider." for number in (1, 2)]
STATUS: dict[str, Any] = {
    "mailbox": {
        "name": "INBOX",
        "messages": 30,
        "unseen": 3,
        "newMessages": 2,
        "newestTime": "2026-11-21T09:00:00Z",
        "octets": {"used": 50, "limit": 200},
    },
    "identities": [
        {
            "address": "support@example.com",
            "type": "Primary",
            "declared": False,
            "state": "Verified",
            "method": "SignIn",
            "reason": "IdentityVerified",
            "message": "The server accepted it.",
        },
        {
            "address": "sales@example.com",
            "type": "Alias",
            "declared": True,
            "state": "Pending",
            "reason": "IdentityPending",
            "message": "Follow the link in the message.",
        },
    ],
    "forwarding": {
        "verdict": "NotArriving",
        "technicalAddress": "in-7@example.net",
        "steps": STEPS,
    },
    "lastTest": {"nonce": "one", "result": RESULT},
}


def said(kind: str, conditions: list[dict[str, Any]], full: bool = False, **more: Any) -> str:
    stream = io.StringIO()
    one = {
        "kind": kind,
        "metadata": {"namespace": "mail", "name": "x"},
        "spec": more.pop("spec", {}),
        "status": {"conditions": conditions, **more},
    }
    table.show(Console(file=stream, width=400), [one], full=full)
    return stream.getvalue()


def row(text: str) -> list[str]:
    """The cells of the only row."""
    return text.splitlines()[2].split()


@pytest.mark.parametrize(
    ("spec", "status", "shown"),
    [
        ({"provider": "SendGrid"}, {"endpoint": "smtp.sendgrid.net:587"}, "smtp.sendgrid.net:587"),
        ({"provider": "SendGrid"}, {}, "-"),
        ({"provider": "SendGrid", "host": "smtp.example.com"}, {}, "smtp.example.com"),
        ({"host": "smtp.example.com"}, {}, "smtp.example.com:587"),
        ({"host": "smtp.example.com", "port": 465}, {}, "smtp.example.com:465"),
        ({}, {}, "-"),
    ],
)
def test_host_of_a_server(spec: dict[str, Any], status: dict[str, Any], shown: str) -> None:
    assert row(said("MailServer", READY, spec=spec, **status))[1] == shown


@pytest.mark.parametrize(
    ("spec", "status", "shown"),
    [
        ({}, {"serverName": "smtp"}, "smtp"),
        ({"provider": "Gmail"}, {}, "Gmail"),
        ({"provider": "Gmail", "serverRef": {"name": "smtp"}}, {}, "-"),
        ({}, {}, "-"),
    ],
)
def test_server_of_an_account(spec: dict[str, Any], status: dict[str, Any], shown: str) -> None:
    spec = {"address": "support@example.com", **spec}
    assert row(said("EmailAccount", READY, spec=spec, **status))[4] == shown


@pytest.mark.parametrize("spec", [5, "text", ["a"], None, True])
@pytest.mark.parametrize("kind", list(Kind))
def test_a_spec_that_is_none_has_its_row_all_the_same(kind: Kind, spec: object) -> None:
    for status in (None, {"conditions": READY}):
        raw = {
            "kind": kind.value,
            "metadata": {"namespace": "mail", "name": "a"},
            "spec": spec,
            "status": status,
        }
        console = Console(file=io.StringIO(), width=200)
        table.show(console, [raw])
        assert "a " in console.file.getvalue()  # type: ignore[attr-defined]


def test_of_an_account_that_is_well_the_table_says_enough() -> None:
    assert "Identities" not in said("EmailAccount", READY, **STATUS)


@pytest.mark.parametrize("conditions", [READY, BROKEN])
def test_details_of_an_account(conditions: list[dict[str, Any]]) -> None:
    text = said("EmailAccount", conditions, full=conditions is READY, **STATUS)
    assert "Mailbox INBOX: 30 messages, 3 unseen, 2 new" in text
    assert "50 of 200 octets used (25%)" in text
    assert "sales@example.com    Alias    Pending\n      Follow the link" in text
    assert "Forwarding to in-7@example.net: NotArriving" in text
    assert f"    1. {STEPS[0]}\n    2. {STEPS[1]}\n" in text
    assert "Test message to support@example.com of 2026-11-21T10:01:00Z: DeliveredToSpam" in text


def test_what_was_said_is_not_repeated() -> None:
    pending = STATUS["identities"][1]
    finding = {"code": "IDENTITY_PENDING", "severity": "Warning", "message": pending["message"]}
    text = said("EmailAccount", READY, identities=[pending], findings=[finding])
    assert text.count(pending["message"]) == 1
    assert "sales@example.com  Alias  Pending" in text


def test_an_address_of_which_nobody_says_anything_is_left_out() -> None:
    unknown = {**STATUS["identities"][0], "state": "Unverifiable", "method": None}
    assert "Identities" not in said("EmailAccount", BROKEN, identities=[unknown])


def test_a_status_that_cannot_be_understood_has_no_details() -> None:
    text = said("EmailAccount", BROKEN, identities="odd")
    assert "It is not." in text


def test_a_message_on_its_way() -> None:
    flight = {
        "step": "Sent",
        "token": "t",
        "time": "2026-11-21T10:01:00Z",
        "sender": "support@example.com",
        "recipient": "support@example.com",
    }
    text = said("EmailAccount", BROKEN, lastTest={"nonce": "n", "inFlight": flight})
    assert "Test message to support@example.com of 2026-11-21T10:01:00Z: Sent" in text


def test_the_last_round_trip() -> None:
    trip = {
        "result": {**RESULT, "outcome": "Delivered", "mailbox": "INBOX"},
        "senders": [
            {
                "address": "sales@example.com",
                "outcome": "Failed",
                "time": "2026-11-21T04:00:00Z",
                "reason": "SenderNotAuthorized",
            }
        ],
    }
    text = said("EmailAccount", READY, full=True, roundTrip=trip)
    assert "Round trip of 2026-11-21T10:01:00Z: Delivered in INBOX after 3 s" in text
    assert "as sales@example.com: Failed (2026-11-21T04:00:00Z)" in text


PROBE = {"stage": "Auth", "reason": "x", "code": 535, "serverText": "5.7.8 [b]no … canary"}


def test_the_words_of_a_server_are_quoted_as_its_own() -> None:
    text = said("MailServer", BROKEN, lastProbe=PROBE)
    assert 'The SMTP server\'s own words: "535 5.7.8 [b]no … canary"' in text
    both = {"smtp": PROBE, "imap": {"stage": "Auth", "reason": "x", "serverText": "no way"}}
    text = said("EmailAccount", BROKEN, lastProbe=both)
    assert "The SMTP server's own words" in text
    assert 'The IMAP server\'s own words: "no way"' in text


def test_where_a_server_said_nothing_nothing_is_quoted() -> None:
    assert "own words" not in said("MailServer", BROKEN, lastProbe={"stage": "TLS", "reason": "x"})
    assert "own words" not in said("MailServer", BROKEN)


def test_the_question_that_shows_a_finding_can_be_copied() -> None:
    """A line of its own, whole however narrow the window is."""
    ask = f"dig +norecurse TXT {'s1._domainkey.' * 9}example.com @ns1.example.net"
    found = {"code": "DKIM_MISSING", "severity": "Error", "subject": "dkim-s1", "message": "None."}
    stream = io.StringIO()
    one = {
        "kind": "SendingDomain",
        "metadata": {"namespace": "mail", "name": "x"},
        "spec": {},
        "status": {"conditions": BROKEN, "findings": [{**found, "ask": ask}, found]},
    }
    table.show(Console(file=stream, width=40), [one], full=False)
    lines = [line.strip() for line in stream.getvalue().splitlines()]
    assert lines.count(f"To see it: {ask}") == 1
    assert sum(line.startswith("To see it") for line in lines) == 1


def test_what_an_operator_would_publish_is_named_where_none_is() -> None:
    record = {"id": "dmarc", "state": "Missing", "type": "TXT", "name": "_dmarc.example.com"}
    spec = {"domain": "example.com", "publish": {"via": "ExternalDNS", "records": ["DKIM", "SPF"]}}
    words = "spec.publish: the operator in the cluster hands DKIM, SPF to external-dns, if it may"
    shown = said("SendingDomain", BROKEN, spec=spec, records=[record])
    assert words in shown
    published = {**WELL, "type": "RecordsPublished", "status": "False"}
    assert words not in said("SendingDomain", [*BROKEN, published], spec=spec, records=[record])
    assert words not in said("SendingDomain", BROKEN, spec=spec)
    without = {"domain": "example.com"}
    assert "spec.publish" not in said("SendingDomain", BROKEN, spec=without, records=[record])


def _domains(*spaces: str) -> list[dict[str, Any]]:
    ready = {"type": "Ready", "status": "False", "reason": "RequiredMechanismMissing"}
    owned = {"type": "OwnershipVerified", "status": "Unknown"}
    return [
        {
            "kind": "SendingDomain",
            "metadata": {"namespace": space, "name": f"newsletter-{number}-example-com"},
            "spec": {"domain": f"newsletter-{number}.example.com"},
            "status": {"conditions": [ready, owned]},
        }
        for number, space in enumerate(spaces)
    ]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("spaces", [("mail", "mail"), ("mail", "marketing")])
def test_a_table_fits(width: int, spaces: tuple[str, ...]) -> None:
    out = io.StringIO()
    table.show(Console(file=out, width=width), _domains(*spaces), details=False)
    title, heading, *rows = out.getvalue().splitlines()
    assert all(len(line) <= width for line in (heading, *rows))
    several = len(set(spaces)) > 1
    assert ("NAMESPACE" in heading) is several
    assert title == ("SendingDomain" if several else "SendingDomain in namespace mail")
    for number, (space, line) in enumerate(zip(spaces, rows, strict=True)):
        words = line.split()
        assert words[: 1 + several] == [space, f"newsletter-{number}-example-com"][not several :]
        assert "False" in words


def test_a_wide_table_has_ages_and_is_never_cut() -> None:
    now = datetime.now(UTC)

    def before(**ago: float) -> str:
        return timestamp(now - timedelta(**ago))

    (old, odd) = _domains("mail", "mail")
    old["metadata"]["creationTimestamp"] = before(days=40, hours=1)
    old["status"]["lastCheckTime"] = before(minutes=119, seconds=30)
    ready = {**old["status"]["conditions"][0], "lastTransitionTime": before(hours=47, seconds=30)}
    old["status"]["conditions"] = [ready]
    odd["status"]["lastCheckTime"] = before(days=-1)
    odd["metadata"]["creationTimestamp"] = "yesterday"
    out = io.StringIO()
    table.show(Console(file=out, width=40), [old, odd], details=False, wide=True)
    _, heading, *rows = out.getvalue().splitlines()
    assert heading.split()[-3:] == ["CHECKED", "SINCE", "AGE"]
    assert [row.split()[-3:] for row in rows] == [["119m", "47h", "40d"], ["0s", "-", "-"]]
    assert "newsletter-0.example.com" in rows[0]


def test_how_many_there_are_is_the_last_line() -> None:
    well = {"conditions": READY}
    suspended = {"conditions": [*BROKEN, {"type": "Suspended", "status": "True"}]}
    unknown = {"conditions": [{**WELL, "status": "Unknown"}]}
    statuses = [well, well, {"conditions": BROKEN}, unknown, {}, suspended]
    objects = [
        {"kind": "MailServer", "metadata": {"namespace": "mail", "name": f"n{number}"}, **more}
        for number, more in enumerate({"status": status} for status in statuses)
    ]
    line = "6 objects: 2 Ready, 1 not Ready, 1 unknown, 1 not looked at yet, 1 suspended."
    assert table.summary(objects) == line
    out = io.StringIO()
    table.show(Console(file=out, width=40), objects)
    assert out.getvalue().endswith(f"\n\n{line}\n")
    assert table.summary(objects[:1]) == "1 object: 1 Ready."


@pytest.mark.parametrize(
    ("message", "summary", "fix", "line"),
    [
        (
            "It is gone: create it.",
            "It is gone.",
            {"action": "External", "instruction": "Create it."},
            "It is gone.",
        ),
        ("Create it.", "", {"action": "External", "instruction": "Create it."}, None),
        ("It is gone.", "", {"action": "External", "instruction": None}, "It is gone."),
        (
            "It is gone. Publish TXT @: x",
            "It is gone.",
            {
                "action": "Create",
                "name": "a.example",
                "hostLabel": "@",
                "type": "TXT",
                "value": "x",
            },
            "It is gone. Publish TXT @: x",
        ),
    ],
)
def test_an_instruction_stands_in_one_place(
    message: str, summary: str, fix: dict[str, Any], line: str | None
) -> None:
    found = {"code": "A", "severity": "Error", "message": message, "summary": summary, "fix": fix}
    lines = said("MailServer", [{**BROKEN[0], "message": ""}], findings=[found]).splitlines()
    at = lines.index("  Error: A")
    assert lines[at + 1].strip() == (line or "Fix: Create it.")


def test_what_becomes_of_it_stands_behind_the_instruction() -> None:
    fix = {"action": "External", "instruction": "Do it.", "meanwhile": "It waits."}
    found = {"code": "A", "severity": "Error", "message": "It is gone.", "fix": fix}
    text = said("MailServer", [{**BROKEN[0], "message": ""}], findings=[found])
    assert "Fix: Do it. It waits." in text


def test_each_sentence_is_said_once() -> None:
    found = {"code": "A", "severity": "Error", "message": "It is cold. It is dark."}
    conditions = [{**BROKEN[0], "message": "It is dark. It is also late."}]
    text = said("MailServer", conditions, findings=[found, {**found, "code": "B"}])
    assert "Error: B" in text
    for sentence in ("It is cold.", "It is dark.", "It is also late."):
        assert text.count(sentence) == 1


OF_TWO = (
    "No record at a.example.com; publish TXT a.example.com: v=DMARC1; p=none; rua=mailto:x@y. The "
    "same holds for b.example.com."
)


@pytest.mark.parametrize(
    ("message", "told", "rest"),
    [
        (
            OF_TWO,
            "publish TXT a.example.com: v=DMARC1; p=none; rua=mailto:x@y.",
            "No record at a.example.com. The same holds for b.example.com.",
        ),
        (
            OF_TWO,
            "No record at a.example.com; nothing stands there.",
            "Publish TXT a.example.com: v=DMARC1; p=none; rua=mailto:x@y. The same holds for "
            "b.example.com.",
        ),
        # A name is no word that a sentence may begin with in capitals.
        ("It is cold; smtp.example.com is not.", "It is cold; so.", "smtp.example.com is not."),
        (OF_TWO, "Publish p=none; it is enough.", OF_TWO),
    ],
)
def test_what_is_left_of_a_message_is_made_of_whole_sentences(
    message: str, told: str, rest: str
) -> None:
    found = {"code": "A", "severity": "Error", "message": told}
    text = said("MailServer", [{**BROKEN[0], "message": message}], findings=[found])
    assert f"  {rest}" in text.splitlines()


@pytest.mark.parametrize(
    ("instruction", "line"),
    [
        ("Wait; if it stays, ask the owner.", "Fix: Wait; if it stays, ask the owner."),
        ("Wait: postroom keeps looking.", "Fix: wait."),
        ("", "Fix: wait."),
    ],
)
def test_what_else_to_do_than_to_wait_is_told(instruction: str, line: str) -> None:
    fix = {"action": "Wait", "instruction": instruction}
    found = {"code": "A", "severity": "Warning", "message": "It is slow.", "fix": fix}
    lines = said("MailServer", BROKEN, findings=[found]).splitlines()
    assert [each.strip() for each in lines if "Fix" in each] == [line]


def test_what_was_cut_to_the_length_of_a_message_is_not_said_again() -> None:
    told = "It is cold. Publish TXT a: the value of the fix in status.findings"
    fix = {"action": "Create", "type": "TXT", "name": "a", "value": "v", "remove": []}
    found = {"code": "A", "severity": "Error", "message": told, "fix": fix}
    conditions = [{**BROKEN[0], "message": "It is cold. Publish TXT a: the value of the fi…"}]
    text = said("SendingDomain", conditions, findings=[found])
    assert "…" not in text
    assert "Publish TXT a: the value below" in text


def test_a_fix_that_is_no_record_is_an_instruction() -> None:
    out = io.StringIO()
    fix = {"action": "External", "instruction": "Set spec.serverRef.", "remove": []}
    found = {"code": "NO_DEFAULT", "severity": "Error", "message": "None is marked.", "fix": fix}
    status = {"conditions": BROKEN, "findings": [found]}
    one = {"kind": "MailServer", "metadata": {"name": "x"}, "spec": {}, "status": status}
    table.show(Console(file=out, width=80), [one])
    assert "    Fix: Set spec.serverRef." in out.getvalue().splitlines()


def test_the_head_of_details_is_one_line_whatever_the_name() -> None:
    """A line of its own may be a command of CI, and a name that is cut cannot be copied."""
    out, name = io.StringIO(), f"{'long-' * 30}\n::error::injected"
    one = {
        "kind": "MailServer",
        "metadata": {"name": name, "namespace": "mail"},
        "spec": {},
        "status": {"conditions": BROKEN},
    }
    table.show(Console(file=out, width=40), [one])
    (head,) = [e for e in out.getvalue().splitlines() if e.startswith("MailServer mail/")]
    assert head.startswith(f"MailServer mail/{'long-' * 30}") and "injected" in head


def test_what_an_instruction_gives_to_paste_stands_in_lines_that_can_be_pasted() -> None:
    out = io.StringIO()
    resource = {"kind": "SendingDomain", "spec": {"domain": "long." * 20 + "example.com"}}
    pasted = yaml.safe_dump(resource, width=1000)
    fix = {"action": "External", "instruction": "Apply this:", "manifest": pasted}
    found = {"code": "A", "severity": "Error", "message": "None is there.", "fix": fix}
    status = {"conditions": BROKEN, "findings": [found]}
    one = {"kind": "EmailAccount", "metadata": {"name": "x"}, "spec": {}, "status": status}
    table.show(Console(file=out, width=80), [one])
    lines = out.getvalue().splitlines()
    at = lines.index("    Fix: Apply this:") + 1
    assert yaml.safe_load("\n".join(lines[at : at + len(pasted.splitlines())])) == resource


@pytest.mark.parametrize(
    ("kind", "status", "shown"),
    [
        ("MailServer", {"conditions": [{"type": "Default", "status": "True"}]}, "yes"),
        ("EmailAccount", {"conditions": [{"type": "Default", "status": "True"}]}, "yes"),
        ("MailServer", {"conditions": [{"type": "Default", "status": "False"}]}, "Superseded"),
        ("SendingDomain", {"verification": "Failed"}, "Failed"),
        (
            "SendingDomain",
            {"verification": "Degraded", "verifiedAt": "2026-11-21T02:00:00Z"},
            "Degr",
        ),
        (
            "SendingDomain",
            {"verification": "Verified", "verifiedAt": "2026-11-21T02:00:00Z"},
            "2026",
        ),
    ],
)
def test_defaults_and_verification(kind: str, status: dict[str, Any], shown: str) -> None:
    out = io.StringIO()
    one = {"kind": kind, "metadata": {"namespace": "mail", "name": "x"}, "status": status}
    table.show(Console(file=out, width=120), [one], details=False)
    heading, row = out.getvalue().splitlines()[1:3]
    column = heading.index("VERIFIED" if kind == "SendingDomain" else "DEFAULT")
    assert row[column:].startswith(shown)


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize(
    ("spec", "shown"), [({}, "Connected"), ({"connection": "Disconnected"}, "Disconnected")]
)
def test_whether_an_account_is_connected(spec: dict[str, Any], shown: str, width: int) -> None:
    out, metadata = io.StringIO(), {"namespace": "mail", "name": "x"}
    one = {"kind": "EmailAccount", "metadata": metadata, "spec": {"address": "a@b.example", **spec}}
    table.show(Console(file=out, width=width), [one], details=False)
    heading, *rows = out.getvalue().splitlines()[1:]
    column = heading.index("CONNECTION")
    assert [row[column:].strip() for row in rows] == [shown]


def test_the_send_plan_of_an_account_and_what_it_comes_to_today() -> None:
    window = {"timeZone": "Europe/Berlin", "days": ["Mon", "Tue"], "start": "09:00", "end": "17:00"}
    plan = {
        "daily": 50,
        "dailyFrom": "MailServer",
        "hourly": 7,
        "hourlyFrom": "Window",
        "connections": 2,
        "window": window,
        "rampUp": {"startDaily": 5, "dailyIncrease": 10, "fullAfterDays": 5},
    }
    since = {"sendPlan": plan, "connectedAt": "2026-11-23T10:00:00Z"}
    status = parse_status(Kind.EMAIL_ACCOUNT, since)
    assert isinstance(status, EmailAccountStatus)
    lines = [
        line.text
        for line in account_details.send_plan_lines(status, datetime(2026, 11, 24, 9, tzinfo=UTC))
    ]
    assert lines == [
        "  Sending: at most 50 a day (MailServer), 7 an hour (Window), 2 connections at a time",
        "    Mon, Tue, 09:00 to 17:00 (Europe/Berlin)",
        "    begins with 5 a day, 10 more each day, from 2026-11-23T10:00:00Z",
        "    today: 15",
    ]
    later = datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert [line.text for line in account_details.send_plan_lines(status, later)] == lines[:3]
    assert "Sending: at most 50 a day" in said("EmailAccount", READY, full=True, **since)
    assert "Sending" not in said("EmailAccount", READY, full=True)


def launch(**states: str) -> dict[str, Any]:
    items = [
        {"item": item, "state": state, "since": "2026-11-21T12:00:00Z", "message": f"About {item}."}
        for item, state in states.items()
    ]
    return {"summary": "1/3", "items": items}


def test_what_is_to_be_done_before_launch_is_one_line_or_the_whole_list() -> None:
    found = launch(SendProven="Unknown", SenderName="Done", OwnerAndRecoveryContact="Open")
    line = "launch 1/3: open: owner and recovery contact; unknown: send proven"
    assert f"EmailAccount mail/x  {line}" in said("EmailAccount", READY, launch=found)
    assert f"  {line.capitalize()}" in said("EmailAccount", BROKEN, launch=found)
    text = said("EmailAccount", READY, full=True, launch=found)
    assert "Launch: 1/3" in text and line not in text
    assert "Open       OwnerAndRecoveryContact  since 2026-11-21T12:00:00Z" in text
    assert "About OwnerAndRecoveryContact." in text and "About SenderName." not in text
    nothing_open = launch(SendProven="Unknown", SenderName="Done")
    assert "launch" not in said("EmailAccount", READY, launch=nothing_open)
