# SPDX-License-Identifier: Apache-2.0
"""The test message: its fields, its size, names of all scripts, no injection, equal each time."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.round_trip.compose import (
    MESSAGE_LIMIT,
    Draft,
    Purpose,
    compose,
    probe_key,
    proof_of,
)

KEY = probe_key(b"ownership")
UID = "0f3a2b1c-1111-2222-3333-444455556666"
TOKEN = "5d0c1b7e42a94f6a8e3d2c1b0a998877"
DRAFT = Draft(
    account_uid=UID,
    token=TOKEN,
    purpose=Purpose.ROUND_TRIP,
    sender="support@example.com",
    display_name="Support",
    recipient="test@example.org",
    moment=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
)
LONG_DOMAIN = ".".join(["d" * 60] * 3) + ".example"
NAMES = [
    "Support, Ltd.",
    'Say "hello"',
    "Jürgen Öztürk aus Überlingen",
    "株式会社サンプル 🙂",
    "a" * 128,
    "漢字" * 40,
    "Подержка " * 12,
]


def read(octets: bytes) -> EmailMessage:
    found = message_from_bytes(octets, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def draft(**changes: object) -> Draft:
    return dataclasses.replace(DRAFT, **changes)  # type: ignore[arg-type]


def shown_name(octets: bytes) -> str:
    """Decode the name; the parser of the standard library keeps spaces of folding (bpo-35547)."""
    name = message_from_bytes(octets)["From"].rpartition("<")[0].strip()
    return unquote(str(make_header(decode_header(name))))


def test_the_fields() -> None:
    message = read(compose(DRAFT, KEY))
    assert message["From"] == "Support <support@example.com>"
    assert message["To"] == "test@example.org"
    assert message["Date"].datetime == DRAFT.moment
    assert message["Message-ID"] == f"<postroom.{TOKEN}@example.com>"
    assert message["Subject"] == f"[postroom] connectivity test {TOKEN[:12]}"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["X-Postroom-Probe"] == f"v1 {UID} {TOKEN} {proof_of(KEY, UID, TOKEN)}"
    assert message.get_content_type() == "text/plain"


def test_each_field_is_there_once() -> None:
    names = [one.lower() for one in read(compose(DRAFT, KEY))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("purpose", Purpose)
def test_the_body_has_no_links(purpose: Purpose) -> None:
    body = read(compose(draft(purpose=purpose), KEY)).get_content()
    assert "://" not in body
    assert "@" not in body


def test_line_ends_are_crlf() -> None:
    octets = compose(DRAFT, KEY)
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")


def test_the_same_inputs_give_the_same_octets() -> None:
    assert compose(DRAFT, KEY) == compose(dataclasses.replace(DRAFT), KEY)


def test_the_moment_is_written_in_utc() -> None:
    there = DRAFT.moment.astimezone(timezone(timedelta(hours=9)))
    assert compose(draft(moment=there), KEY) == compose(DRAFT, KEY)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_all_scripts_come_back(name: str) -> None:
    shown = shown_name(compose(draft(display_name=name), KEY))
    assert name.startswith(shown)
    assert len(shown.encode()) >= min(len(name.strip().encode()), 240)


@pytest.mark.parametrize("name", NAMES)
def test_the_longest_message_fits(name: str) -> None:
    address = f"{'l' * 60}@{LONG_DOMAIN}"
    octets = compose(draft(display_name=name, sender=address, recipient=address), KEY)
    assert len(octets) <= MESSAGE_LIMIT
    assert read(octets)["Message-ID"] == f"<postroom.{TOKEN}@{LONG_DOMAIN}>"
    assert read(octets)["To"] == address


@given(st.text(max_size=140))
def test_no_display_name_adds_or_hides_a_field(name: str) -> None:
    octets = compose(draft(display_name=name), KEY)
    assert octets.isascii()
    assert len(octets) <= MESSAGE_LIMIT
    plain, message = read(compose(DRAFT, KEY)), read(octets)
    assert message.keys() == plain.keys()
    assert [one.addr_spec for one in message["From"].addresses] == [DRAFT.sender]
    assert message.get_content() == plain.get_content()


@pytest.mark.parametrize(
    "name", ["x\r\nBcc: evil@example.net", "x\nBcc: e@x.example", "x\u2028y: z"]
)
def test_line_breaks_in_names_become_spaces(name: str) -> None:
    octets = compose(draft(display_name=name), KEY)
    assert read(octets)["Bcc"] is None
    assert shown_name(octets) == " ".join(name.split())


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@b\r\nBcc: c@d.example",
        "a@b.example, c@d.example",
        "<a@b.example>",
        "ä@b.example",
        "a b@c.example",
        "a@b.example\n",
        f"a@{'b' * 260}",
    ],
)
@pytest.mark.parametrize("field", ["sender", "recipient"])
def test_other_addresses_are_refused(field: str, address: str) -> None:
    with pytest.raises(ValueError, match="dot-atom"):
        compose(draft(**{field: address}), KEY)


@pytest.mark.parametrize(
    "changes", [{"account_uid": "a b"}, {"token": "short"}, {"token": "G" * 32}]
)
def test_a_uid_or_token_that_is_none_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="UID"):
        compose(draft(**changes), KEY)


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        compose(draft(moment=DRAFT.moment.replace(tzinfo=None)), KEY)


def test_proofs_differ_by_all_that_they_are_made_from() -> None:
    keys = (KEY, probe_key(b"other"))
    proofs = {proof_of(key, uid, token) for key in keys for uid in ("u", "u1") for token in "12"}
    assert len(proofs) == 2 * 2 * 2


def test_the_key_is_not_the_operators_own() -> None:
    assert probe_key(b"ownership") != b"ownership"
    assert proof_of(KEY, UID, TOKEN) != proof_of(b"ownership", UID, TOKEN)
    assert TOKEN not in proof_of(KEY, UID, TOKEN)
