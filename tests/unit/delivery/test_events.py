# SPDX-License-Identifier: Apache-2.0
"""What is told of a message: legal attributes, whatever a message says of itself."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.delivery import events
from postroom.delivery.events import Place, as_headers, as_json, attributes, encoded, mark_of
from postroom.mail.round_trip.header import read_header

PLACE = Place("mail", "support", "INBOX", 7, 4711, "5d41402abc4b2a76", 1, "8e0c")
#: As places were before accounts were told by their names.
BY_UID = replace(PLACE, account_uid="u1")
ARRIVED = datetime(2026, 11, 29, 12, 0, 3, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=("Cs",)))


def told(header: bytes, **options: bool) -> dict[str, str]:
    return dict(attributes(PLACE, read_header(header), ARRIVED, len(header), **options))


def test_all_that_is_told() -> None:
    header = (
        b"Authentication-Results: mx.example.com; spf=pass; dkim=fail; dmarc=none\r\n"
        b"Message-ID: <3@x>\r\nIn-Reply-To: <2@x>\r\nReferences: <1@x> <2@x>\r\n"
        b"Auto-Submitted: auto-replied; owner=a\r\n\r\n"
    )
    found = attributes(
        PLACE, read_header(header), ARRIVED, 9, receivers=("mx.example.com",), may_repeat=True
    )
    assert found == {
        "specversion": "1.0",
        "id": PLACE.event_id,
        "type": "dev.postroom.mail.received.v1",
        "source": "/apis/postroom.dev/v1alpha1/namespaces/mail/emailaccounts/support",
        "time": "2026-11-29T12:00:03Z",
        "account": "mail/support",
        "mailbox": "INBOX",
        "size": "9",
        "messageid": "3@x",
        "threadhint": "1@x",
        "autosubmitted": "auto-replied",
        "mayberepeated": "true",
        "spf": "pass",
        "dkim": "fail",
        "dmarc": "none",
    }


def test_a_time_is_told_as_utc_without_fractions() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    found = attributes(PLACE, read_header(b""), datetime(2026, 1, 1, 0, 0, 0, 9, east), 0)
    assert found["time"] == "2025-12-31T18:30:00Z"


@pytest.mark.parametrize(
    "changed",
    [
        {"owner": "5d41402abc4b2a77"},
        {"mark": "8e0d"},
        {"mark": ""},
        {"mark": "", "epoch": 2},
        {"account_uid": "u1"},
        {"account_uid": "u1", "epoch": 2},
        {"mailbox": "INBOX2"},
        {"uid_validity": 8},
        {"uid": 471},
        {"uid_validity": 74, "uid": 711},
    ],
)
def test_another_place_is_another_id(changed: dict[str, str | int]) -> None:
    assert replace(PLACE, **changed).event_id != PLACE.event_id  # type: ignore[arg-type]
    assert re.fullmatch("[0-9a-f]{32}", PLACE.event_id)


def test_ids_of_other_places_are_others() -> None:
    ids = {replace(PLACE, mark=mark, epoch=epoch).event_id for mark in "ab" for epoch in (1, 2)}
    assert len(ids) == 2, "what a message is called tells more than how often numbers began anew"
    assert len({replace(PLACE, mark="", epoch=epoch).event_id for epoch in (1, 2)}) == 2


@pytest.mark.parametrize(("epoch", "more"), [(0, ""), (1, "\n5d41402abc4b2a76.1")])
def test_an_id_that_was_given_by_the_uid_of_an_object_stays(epoch: int, more: str) -> None:
    told = f"u1\nINBOX\n7\n4711{more}"
    assert replace(BY_UID, epoch=epoch).event_id == sha256(told.encode()).hexdigest()[:32]


def test_a_message_is_marked_by_what_its_sender_called_it_and_when() -> None:
    def mark(header: bytes) -> str:
        return mark_of(read_header(header))

    found = mark(b"Message-ID: <1@x>\r\nDate: today\r\nReceived: a\r\n")
    assert found == mark(b"Received: b\r\nDATE: today\r\nMessage-Id:\r\n <1@x>\r\n\r\nDate: b")
    others = [b"Message-ID: <2@x>\r\nDate: today", b"Message-ID: <1@x>", b"Date: today"]
    assert len({found, "", *map(mark, others)}) == 5
    assert mark(b"Subject: x") == mark(b"\xff\x00") == ""


@pytest.mark.parametrize(
    ("header", "message_id", "hint"),
    [
        (b"Message-ID: <1@x>", "1@x", "1@x"),
        (b"Message-ID: 1@x", None, None),
        (b"Message-ID: (c) <1@x> <2@x>", "1@x", "1@x"),
        (b"Message-ID: <>\r\nReferences: <0@x>", None, "0@x"),
        (b"In-Reply-To: your mail of Monday\r\nMessage-ID: <1@x>", "1@x", "1@x"),
        (b"References:\r\n <a@x>\r\n\t<b@x>\r\nIn-Reply-To: <b@x>", None, "a@x"),
        (b"Message-ID: <\xc3\xa4@x>", "ä@x", "ä@x"),
        # No UTF-8: nobody can tell which octets they were.
        (b"Message-ID: <\xe4@x>\r\nReferences: <\xe4@x> <1@x>", None, "1@x"),
        (b"Message-ID: <a\x01b@x>", None, None),
        (b"Message-ID: <a\xc2\x85b@x>", None, None),
        (b"Message-ID: <a\xef\xbf\xbeb@x>", None, None),
        (b"Message-ID: <a\xf0\x9f\xbf\xbfb@x>", None, None),
        # Longer than a header may be: a part of it would be another's key.
        (b"Message-ID: <" + b"a" * 501 + b">", None, None),
        (b"Message-ID: <" + "ä".encode() * 200 + b">", None, None),
        (b"Message-ID: <" + b"a" * 500 + b">", "a" * 500, "a" * 500),
        (b"Message-ID: <a\r\n X-Other: b@x>", None, None),
    ],
)
def test_ids_are_those_that_can_be_told(
    header: bytes, message_id: str | None, hint: str | None
) -> None:
    found = told(header + b"\r\n\r\n")
    assert (found.get("messageid"), found.get("threadhint")) == (message_id, hint)


@pytest.mark.parametrize(
    ("value", "keyword"),
    [
        ("no", None),
        ("No", None),
        ("auto-generated", "auto-generated"),
        ("AUTO-REPLIED (vacation)", "auto-replied"),
        ("auto-replied; x=y", "auto-replied"),
        ("(by a machine) auto-replied", "auto-replied"),
        ("auto-replied (vacation; till Monday); x=y", "auto-replied"),
        ("no (a person)", None),
        ("no\r\nAuto-Submitted: auto-generated", "auto-generated"),
        ("", None),
        ("a" * 33, None),
        ("x\x00y", None),
    ],
)
def test_who_was_written_by_a_machine(value: str, keyword: str | None) -> None:
    assert told(f"Auto-Submitted: {value}\r\n\r\n".encode()).get("autosubmitted") == keyword


@pytest.mark.parametrize(
    ("field", "keyword"),
    [
        ("X-Autoreply: yes", "auto-replied"),
        ("X-Autorespond: away", "auto-replied"),
        ("Precedence: auto_reply", "auto-replied"),
        ("Precedence: bulk", None),
        ("Auto-Submitted: no\r\nX-Autoreply: yes", "auto-replied"),
        ("Auto-Submitted: auto-generated\r\nX-Autoreply: yes", "auto-generated"),
        ("Subject: Out of office", None),
    ],
)
def test_vacation_replies_from_before_the_standard(field: str, keyword: str | None) -> None:
    assert told(f"{field}\r\n\r\n".encode()).get("autosubmitted") == keyword


@given(st.binary(max_size=4000), st.booleans())
@example(b"Message-ID: <a\xff\xfe>\r\nReferences: <\r\n>\r\n", False)
def test_attributes_are_legal_whatever_a_message_says(message: bytes, oversized: bool) -> None:
    found = told(message, oversized=oversized)
    assert {"specversion", "id", "source", "type"} <= set(found)
    for name, value in found.items():
        assert re.fullmatch("[a-z0-9]{1,20}", name)
        assert value
        for character in map(ord, value):
            assert character > 0x1F and not 0x7F <= character <= 0x9F
            assert not 0xD800 <= character <= 0xDFFF
            assert not 0xFDD0 <= character <= 0xFDEF and character & 0xFFFE != 0xFFFE


@given(
    st.lists(
        st.sampled_from([b"<", b">", b"@", b"\r\n ", b"\xff", "ä".encode(), b"%", b'"', b"a" * 99]),
        max_size=60,
    )
)
def test_headers_stay_small_whatever_a_message_says(parts: list[bytes]) -> None:
    value = b"".join(parts)
    written = as_headers(told(b"Message-ID: %s\r\nReferences: %s\r\n\r\n" % (value, value)))
    # Servers refuse headers of 8 KiB, some of 4.
    assert sum(len(name) + len(text) + 4 for name, text in written.items()) < 3500


@given(TEXT)
@example('a b"c%d\r\ne\x00ä€😀')
@example("%41")
def test_a_value_is_written_for_a_header_and_read_again(value: str) -> None:
    """CloudEvents HTTP protocol binding 1.0.2 section 3.1.3.2: what must be encoded is, as UTF-8 in
    capitals, and nothing else; whoever decodes gets it back."""
    written = encoded(value)
    assert re.fullmatch(r"(?:[!#$&-~]|%[0-9A-F]{2})*", written)
    assert unquote(written, errors="strict") == value
    plain = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
    assert encoded(plain) == plain


def test_half_a_character_is_no_reason_to_fail() -> None:
    assert encoded("\ud800") == "?"


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), TEXT)
def test_a_document_has_the_message_however_it_is_cut(pieces: list[bytes], mailbox: str) -> None:
    what = {"specversion": "1.0", "id": "1", "mailbox": mailbox, "size": "12"}
    document = json.loads(b"".join(as_json(what, lambda: iter(pieces))))
    assert base64.b64decode(document["data_base64"], validate=True) == b"".join(pieces)
    assert (document["mailbox"], document["size"]) == (mailbox, 12)
    assert document["datacontenttype"] == "message/rfc822"
    assert b"".join(as_json(what, lambda: iter(pieces))).isascii()


def test_a_document_has_the_types_of_json() -> None:
    what = {"id": "12", "size": "12", "mayberepeated": "true", "claimstobeprobe": "true"}
    assert json.loads(b"".join(as_json(what, None))) == {
        "id": "12",
        "size": 12,
        "mayberepeated": True,
        "claimstobeprobe": True,
    }


def test_both_formats_are_those_of_a_spec() -> None:
    from postroom.api.inbound_delivery import DeliveryFormat

    assert [each.value for each in events.Format] == [each.value for each in DeliveryFormat]
