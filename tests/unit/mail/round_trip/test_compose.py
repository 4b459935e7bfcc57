# SPDX-License-Identifier: Apache-2.0
"""The test message: its fields, its size, names of all scripts, no injection, equal each time.

Run on every Python that is supported (`make test-pythons`): some versions of the standard library
decode what looks like an encoded-word when they write it (CPython gh-121650).
"""

from __future__ import annotations

import base64
import dataclasses
import sys
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from postroom.api.emailaccount import EmailAccountSpec
from postroom.mail.round_trip.compose import (
    MESSAGE_LIMIT,
    Draft,
    Purpose,
    compose,
    probe_key,
    proof_of,
)
from postroom.mail.round_trip.exactness import InexactMessage

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
    return unquote(name) if name.startswith('"') else str(make_header(decode_header(name)))


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
    assert [address.addr_spec for address in message["From"].addresses] == [DRAFT.sender]
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


FIELDS = (
    "From",
    "To",
    "Date",
    "Message-ID",
    "Subject",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "X-Postroom-Probe",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
)
PAY = base64.b64encode(b"\r\nSubject: Pay\r\n\r\nPay at http://evil.example/x now\r\n").decode()
INJECTIONS = [
    f"=?utf-8?b?{PAY}?=",
    f"=?UTF-8?B?{PAY}?= =?utf-8?B?{PAY}?=",
    f'"=?utf-8?b?{PAY}?="',
    f"Support (=?utf-8?b?{PAY}?=)",
    "=?utf-8?q?=0D=0ABcc:_e@evil.example?=",
    "=?iso-8859-1*en?q?=0a=0abody?=",
    "=?utf-7?q?+AA0ACg-Bcc?=",
    "=?us-ascii?q?a,_b@evil.example?=",
    "=?utf-8?b?" + base64.b64encode("x\u2028Bcc: e".encode()).decode() + "?=",
    "a <e@evil.example>, b",
    "evil@evil.example, Support",
    "Group: e@evil.example;",
    'a" <e@evil.example>, "b',
    "a\\",
    'a\\"',
    "(comment",
    "a\x00b",
    "a\x85b",
    "x\r\n\r\nbody",
    "x\r\n .\r\n",
    "\ud800\udc00",
    "a, " * 42,
    "=?utf-8?q?" + "a" * 60 + "?=, x",
    "é, ü <e@evil.example>",
    "é" * 30 + ", e@evil.example, " + "é" * 30,
]


def strict_fields(octets: bytes) -> list[tuple[str, str]]:
    """Split a message as RFC 5322 says, and not at all as the standard library does."""
    assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
    header = octets[: octets.index(b"\r\n\r\n")].decode("ascii")
    fields: list[tuple[str, str]] = []
    for line in header.split("\r\n"):
        if line.startswith(" "):
            assert line.strip()
            fields[-1] = (fields[-1][0], fields[-1][1] + line)
        else:
            name, _, value = line.partition(": ")
            assert value
            fields.append((name, value))
    return fields


def holds_exactly_our_fields(octets: bytes, like: Draft) -> None:
    fields = strict_fields(octets)
    assert tuple(name for name, _ in fields) == FIELDS
    plain = compose(dataclasses.replace(like, display_name=""), KEY)
    assert fields[1:] == strict_fields(plain)[1:]
    assert octets.partition(b"\r\n\r\n")[2] == plain.partition(b"\r\n\r\n")[2]
    before, _, address = fields[0][1].rpartition("<")
    assert address == f"{like.sender}>" or fields[0][1] == like.sender
    if not (before.startswith('"') and before.rstrip().endswith('"')):
        # Outside of quotes nothing that has a meaning of its own in an address (RFC 5322, 3.2.3).
        assert not set(before) & set('()<>[]:;@\\,."')


@pytest.mark.parametrize("name", INJECTIONS)
def test_no_name_adds_a_line_a_field_or_an_address(name: str) -> None:
    octets = compose(draft(display_name=name), KEY)
    holds_exactly_our_fields(octets, DRAFT)
    assert b"Subject: Pay" not in octets


@pytest.mark.parametrize("name", INJECTIONS[:9])
def test_what_looks_like_an_encoded_word_is_shown_as_it_stands(name: str) -> None:
    assert shown_name(compose(draft(display_name=name), KEY)) == name


@given(
    st.text(max_size=140)
    | st.lists(st.sampled_from([*INJECTIONS, *'"\\,;:<>@()=?_ \r\n', "é", "=?", "?="])).map("".join)
)
def test_whatever_the_name_the_octets_hold_exactly_our_fields(name: str) -> None:
    holds_exactly_our_fields(compose(draft(display_name=name), KEY), DRAFT)


LOCAL_PARTS = st.from_regex(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,70}", fullmatch=True
) | st.sampled_from(["=?utf-8?q?a?=", "a=?b", "a\r\nBcc: x", "a,b", "<a", "a>"])


@given(
    address=LOCAL_PARTS,
    other=LOCAL_PARTS,
    name=st.text(max_size=128) | st.sampled_from(INJECTIONS),
    purpose=st.sampled_from(Purpose),
)
def test_whatever_spec_is_taken_is_written_exactly(
    address: str, other: str, name: str, purpose: Purpose
) -> None:
    """What the schema takes is composed; what it refuses never comes so far."""
    raw = {
        "address": f"{address}@send.example.com",
        "displayName": name,
        "forwarding": {"technicalAddress": f"{other}@mx.example.net"},
    }
    try:
        spec = EmailAccountSpec.model_validate(raw)
    except ValidationError:
        return
    assert spec.forwarding is not None
    mine = draft(
        sender=spec.address,
        recipient=spec.forwarding.technical_address,
        display_name=spec.display_name,
        purpose=purpose,
    )
    octets = compose(mine, KEY)
    holds_exactly_our_fields(octets, mine)
    assert shown_name(octets) == " ".join(name.split())
    assert strict_fields(octets)[1] == ("To", spec.forwarding.technical_address)


@pytest.mark.parametrize(
    "broken",
    [
        ("Support\r\nBcc: e@evil.example",),
        ("Support\r\n\r\nbody",),
        ("e@evil.example,",),
        ("a,", "b"),
        ("<e@evil.example>,",),
        ('"Support', '" <e@evil.example>, "'),
        (f"=?utf-8?b?{PAY}?=",),
        ("=?utf-8?q?Support?=x",),
        ("Somebody",),
        ("Support\x00",),
        ("Support\t",),
        ("Support ",),
        ("x" * 990,),
    ],
)
def test_a_fault_of_ours_is_noticed_and_nothing_is_sent(
    broken: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package gives out the function under the name of its module.
    monkeypatch.setattr(sys.modules[compose.__module__], "phrase", lambda name: broken)
    with pytest.raises(InexactMessage):
        compose(DRAFT, KEY)


def test_where_answers_go_is_said_once_if_at_all() -> None:
    assert read(compose(DRAFT, KEY))["Reply-To"] is None
    message = read(compose(draft(reply_to="help@example.com"), KEY))
    assert message.get_all("Reply-To") == ["help@example.com"]


@pytest.mark.parametrize(
    "text", ["a@b\r\nBcc: c@example.com", "a@example.com, b@example.com", "A <a@example.com>", "a"]
)
def test_no_reply_to_adds_a_field(text: str) -> None:
    with pytest.raises(ValueError, match="dot-atom"):
        compose(draft(reply_to=text), KEY)


def test_the_longest_addresses_fit() -> None:
    longest = "l" * 63 + "@" + LONG_DOMAIN
    found = draft(
        sender=longest, recipient=longest, reply_to=longest, display_name="\U0001f642" * 128
    )
    assert len(compose(found, KEY)) <= MESSAGE_LIMIT
