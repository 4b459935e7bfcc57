# SPDX-License-Identifier: Apache-2.0
"""What a server repeats of a login: found in every encoding, and nothing else taken for it."""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Callable
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.mailserver import ProbeStage, TLSFacts, TLSMode
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.mail.report import Endpoint, Login, Mailbox, ProbeReport
from postroom.mail.session.echo_filter import EchoFilter, without_withheld

SECRET = "correct-Horse7battery"


def echo_filter(secret: str = SECRET) -> EchoFilter:
    return EchoFilter(Masked(secret))


ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of SASL PLAIN": lambda text: base64.b64encode(f"\0me\0{text}".encode()).decode(),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "percent": quote,
    "backwards": lambda text: text[::-1],
    "rot13": lambda text: codecs.encode(text, "rot13"),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_is_found(name: str) -> None:
    assert echo_filter().echoes(f"x-{ENCODINGS[name](SECRET)}-x")


def test_a_good_part_is_found() -> None:
    assert echo_filter().echoes(SECRET[3:17])
    assert not echo_filter().echoes(SECRET[:8])


@pytest.mark.parametrize(
    ("secret", "text", "found"),
    [
        (SECRET, SECRET[::-1], True),
        (SECRET, SECRET[:12], True),
        (SECRET, SECRET[11::-1], True),
        (SECRET, f"{SECRET[:11]} ... {SECRET[11:]}"[:15], False),
        (SECRET, f"{SECRET[:10]}|{SECRET[10:20]}", False),
        ("Gs8kQ2", "x-Gs8kQ2-x", True),
        ("Gs8kQ2", "2Qk8sG", True),
        ("Gs8kQ2", "Gs8kQ", False),
        ("Gs8kQ", "Gs8kQ", False),
    ],
)
def test_what_is_promised_of_pieces_and_short_secrets(secret: str, text: str, found: bool) -> None:
    """As docs/security.md has it: a finer net would tell what it catches by what is missing."""
    assert echo_filter(secret).echoes(text) is found


@pytest.mark.parametrize("text", ["", "INBOX", "Junk E-Mail", "mail.example.com", "STARTTLS"])
def test_ordinary_words_are_none(text: str) -> None:
    assert not echo_filter().echoes(text)


@pytest.mark.parametrize("secret", ["", "Junk", "INBOX"])
def test_short_secrets_are_not_looked_for(secret: str) -> None:
    assert not echo_filter(secret).echoes("INBOX Junk")


@given(st.text(), st.text())
def test_any_text_ends_in_a_verdict(secret: str, text: str) -> None:
    found = echo_filter(secret)
    assert found.echoes(text) in (True, False)
    assert "EchoFilter(***)" in repr(found)


def test_it_is_left_out_of_certificates_and_mailboxes() -> None:
    facts = TLSFacts(subject=f"CN={SECRET}", issuer="Lab", dns_names=["a.example", SECRET])
    left = echo_filter().certificate(facts)
    assert left is not None
    assert (left.subject, left.issuer, left.dns_names) == (None, "Lab", ["a.example"])
    seen = Mailbox("INBOX", 1, 0, 2, 1, special={"Junk": SECRET, "Sent": "Sent"}, prefix=SECRET)
    mailbox = echo_filter().mailbox(seen)
    assert mailbox is not None
    assert (dict(mailbox.special), mailbox.prefix) == ({"Sent": "Sent"}, None)


def test_nothing_stays_nothing() -> None:
    assert echo_filter().certificate(None) is None
    assert echo_filter().mailbox(None) is None


def test_a_session_without_the_login_tells_nothing_of_an_earlier_one() -> None:
    facts = TLSFacts(subject=f"x{SECRET}", dns_names=["mail.example.com", f"{SECRET}.example.com"])
    report = ProbeReport(
        ProbeStage.DONE,
        Reason.PROBE_SUCCEEDED,
        "Works.",
        conclusive=True,
        tls=facts,
        server_text="refused",
    )
    where = Endpoint("mail.example.com", 465, TLSMode.IMPLICIT, "mail.example.com", None, "mail")
    shown = without_withheld(report, where, Login("me", Masked(SECRET)))
    assert shown.tls == TLSFacts(dns_names=["mail.example.com"])
    assert shown.server_text is None
    # Where nobody signs in there is nothing to repeat.
    assert without_withheld(report, where, None).tls == facts


def plainly_echoes(secret: str, text: str) -> bool:
    """The same in the plainest way: every part of the text, in every spelling."""
    said, width = "".join(text.split()).casefold(), len("".join(secret.split()).casefold())
    width, octets = min(width, 12), secret.encode("utf-8", "surrogatepass")
    spellings = [secret, octets.decode("latin-1"), json.dumps(secret), quote(octets)]
    spellings += [secret.encode("utf-7", "replace").decode(), octets.hex()]
    spellings += [secret[::-1], codecs.encode(secret, "rot13")]
    for encode, shifts in ((base64.b64encode, 3), (base64.urlsafe_b64encode, 3)):
        spellings += [encode(b"\0" * shift + octets).decode() for shift in range(shifts)]
    for shift in range(5):
        # Of what stands before it, and of the padding, nothing is the secret's.
        begin = shift * 8 // 5
        spellings.append(base64.b32encode(b"\0" * shift + octets).decode().rstrip("=")[begin:])
    folded = ["".join(spelling.split()).casefold() for spelling in spellings]
    parts = [said[end - width : end] for end in range(width, len(said) + 1)]
    return width >= 6 and any(part in spelling for part in parts for spelling in folded)


@given(
    st.text(max_size=30),
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from(["", "mail.", "a b"]),
    st.sampled_from(range(6)),
)
def test_what_is_looked_for_is_every_part_in_every_spelling(
    secret: str, begin: int, length: int, before: str, way: int
) -> None:
    octets = secret.encode("utf-8", "surrogatepass")
    spelt = [
        secret,
        base64.b64encode(b"\0" + octets).decode(),
        base64.b32encode(b"\0\0" + octets).decode(),
        octets.hex().upper(),
        quote(octets),
        "mx1.example.com",
    ][way]
    text = before + spelt[begin : begin + length] + before
    assert EchoFilter(Masked(secret)).echoes(text) == plainly_echoes(secret, text)


@pytest.mark.parametrize("shift", range(5))
@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_base32_is_found_wherever_in_five_octets_it_begins(
    shift: int, case: Callable[[str], str]
) -> None:
    spelt = base64.b32encode(b"hello"[:shift] + SECRET.encode()).decode().rstrip("=")
    for begin in range(shift * 8 // 5 + 1, len(spelt) - 12):
        assert echo_filter().echoes(f"mx-{case(spelt[begin : begin + 12])}.example")
        assert not echo_filter().echoes(f"mx-{case(spelt[begin : begin + 11])}.example")


def test_texts_are_not_read_as_one() -> None:
    halves = f"x{SECRET[:11]}", f"{SECRET[11:]}x"
    assert not echo_filter().echoes(*halves)
    assert echo_filter().echoes("".join(halves))
    assert echo_filter().echoes(halves[0], SECRET, halves[1])


@pytest.mark.parametrize(
    ("names", "left"),
    [
        (["{}"], ""),
        (["a.example", "{}"], ", only for a.example"),
        (["{}", "a.example"], ", only for a.example"),
        (["a.example", "{}", "b.example"], ", only for a.example, b.example"),
        (["{}", "x{}"], ""),
        (["a.example"], ", only for a.example"),
    ],
)
def test_a_sentence_on_a_certificate_names_no_echo(names: list[str], left: str) -> None:
    secret = "Gs8kQ2vT9zbXw4Lm"
    held = [name.format(f"{secret.encode().hex()}.example") for name in names]
    said = f"The certificate is not for mail.example, only for {', '.join(held)}: use another."
    facts = TLSFacts(dns_names=held)
    found = EchoFilter(Masked(secret)).sentence(said, facts)
    assert found == f"The certificate is not for mail.example{left}: use another."
    assert EchoFilter(Masked(secret)).sentence(said, None) == said


@given(st.text("abAB12/+ é", min_size=6, max_size=40), st.data())
def test_much_is_compared_as_little_is(secret: str, data: st.DataObject) -> None:
    """What would cost seconds to look for piece by piece is found, or not, all the same."""
    octets = secret.encode()
    packed = [pack(octets).decode() for pack in (base64.b64encode, base64.b32encode)]
    form = data.draw(st.sampled_from([secret, octets.hex(), *packed]))
    begin = data.draw(st.integers(0, len(form)))
    said = data.draw(st.text("ab12xyz.", max_size=20)) + form[begin : begin + 30]
    found = []
    for many in (0, 10**12):
        with mock.patch("postroom.mail.session.echo_filter._MANY", many):
            found.append(EchoFilter(Masked(secret)).echoes(said, said[::-1]))
    assert found[0] is found[1]
