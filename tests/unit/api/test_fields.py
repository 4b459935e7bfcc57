# SPDX-License-Identifier: Apache-2.0
"""The field types: what they accept and refuse, and that nothing hostile gets past or breaks them.

Covers: durations, DNS names, hosts, addresses. That the API server judges the same is shown by
tests/cluster/test_schema.py.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from postroom.api.fields import (
    Deadline,
    DisplayName,
    DomainName,
    EmailAddress,
    HostName,
    InternationalAddress,
    Interval,
    ObjectName,
    RecordName,
    as_address,
    as_host,
    format_duration,
    is_email_address,
    parse_duration,
)
from postroom.api.mailserver import MailServerSpec
from rows import over

TYPES = (DomainName, RecordName, HostName, ObjectName, EmailAddress, Interval, Deadline)


def accepts(type_: Any, value: object) -> bool:
    try:
        TypeAdapter(type_).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45s", timedelta(seconds=45)),
        ("1h30m", timedelta(minutes=90)),
        ("0s", timedelta()),
        ("9999h", timedelta(hours=9999)),
    ],
)
def test_durations_are_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "5m\n", "५m", "-5m", "1.5h", "5m1h", "5 m", "99999999999h", "9" * 15 + "s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration such as"):
        parse_duration(text)


@given(st.text(alphabet="0123456789hms५ \n-.", max_size=20))
def test_no_text_breaks_the_parser_of_durations(text: str) -> None:
    try:
        value = parse_duration(text)
    except ValueError:
        return
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize("value", ["1m", "60s", "24h", "1440m"])
def test_intervals_include_their_bounds(value: str) -> None:
    assert accepts(Interval, value)


@pytest.mark.parametrize("value", ["59s", "0s", "24h1s", "x", 300, True, None])
def test_other_intervals_are_refused(value: object) -> None:
    assert not accepts(Interval, value)


def test_only_deadlines_may_be_zero() -> None:
    assert accepts(Deadline, "0s")
    assert not accepts(Deadline, "1s")


@pytest.mark.parametrize("name", ["example.com", "a.b.c.example.xn--p1ai", "1and1.com"])
def test_domain_names(name: str) -> None:
    assert accepts(DomainName, name)
    assert accepts(HostName, name)


@pytest.mark.parametrize(
    "name",
    [
        "example",
        "Example.com",
        "example.com.",
        "-a.com",
        "a-.com",
        "a..com",
        "a_b.com",
        "192.0.2.1",
        "example.com\n",
        "münchen.de",
        "a b.com",
        "*.example.com",
        f"{'a' * 64}.com",
        "a." * 126,
    ],
)
def test_what_is_no_domain_name_is_refused(name: str) -> None:
    assert not accepts(DomainName, name)


def test_record_names_may_have_underscores() -> None:
    assert accepts(RecordName, "k1._domainkey.example.com")
    assert not accepts(RecordName, "k1._domainkey.example.com.")


def test_a_host_may_be_a_service_but_no_address() -> None:
    assert accepts(HostName, "smtp")
    for name in ("192.0.2.1", "2001:db8::1", "[::1]", "smtp.example.com:25", "1"):
        assert not accepts(HostName, name)


@pytest.mark.parametrize("address", ["a@example.com", "O'Brien+x@a.example", f"{'a' * 64}@b.co"])
def test_email_addresses(address: str) -> None:
    assert accepts(EmailAddress, address)


@pytest.mark.parametrize(
    "address",
    [
        "a",
        "a@b",
        "a@b@example.com",
        ".a@example.com",
        "a..b@example.com",
        "a@example.com\r\n",
        "A <a@example.com>",
        '"a b"@example.com',
        "a@Example.com",
        f"{'a' * 65}@b.co",
        "a@192.0.2.1",
    ],
)
def test_what_is_no_email_address_is_refused(address: str) -> None:
    assert not accepts(EmailAddress, address)


INTERNATIONAL: TypeAdapter[str] = TypeAdapter(InternationalAddress)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("a@example.com", "a@example.com"),
        ("a@münchen.example", "a@xn--mnchen-3ya.example"),
        ("a@xn--mnchen-3ya.example", "a@xn--mnchen-3ya.example"),
        ("a@mail.münchen.example", "a@mail.xn--mnchen-3ya.example"),
        ("a@straße.example", "a@xn--strae-oqa.example"),
        ("A.b+c@例え.テスト", "A.b+c@xn--r8jz45g.xn--zckzah"),
        ("a@пример.рф", "a@xn--e1afmkfd.xn--p1ai"),
    ],
)
def test_domains_of_other_scripts_are_kept_in_a_labels(written: str, stored: str) -> None:
    assert INTERNATIONAL.validate_python(written) == stored
    assert accepts(EmailAddress, stored)


@pytest.mark.parametrize(
    "address",
    [
        "a@MÜNCHEN.example",
        "a@mu\u0308nchen.example",
        "a@ｅxample.com",
        "a@example。com",
        "a@ex\u00adample.com",
        "a@m\u200dü.example",
        "a@-ü.example",
        "a@ü..example",
        "a@ü",
        "a@ü.1",
        f"a@{'ü' * 63}.example",
        f"a@{'ü.' * 60}example",
        "bücher@example.com",
        "a@b@münchen.example",
        "a@\u202emoc.elpmaxe",
    ],
)
def test_nothing_is_mapped_to_another_domain(address: str) -> None:
    assert not accepts(InternationalAddress, address)


def test_what_is_meant_is_offered() -> None:
    with pytest.raises(ValidationError, match=r"did you mean a@xn--mnchen-3ya\.example\?"):
        INTERNATIONAL.validate_python("a@mu\u0308nchen.example")


@given(st.text(alphabet="aB1-.@ßüé日本рф\u0301\u200d。", max_size=24))
def test_what_is_stored_is_an_address_that_every_reader_takes(text: str) -> None:
    try:
        stored = INTERNATIONAL.validate_python(text)
    except ValidationError:
        assert not accepts(EmailAddress, text)
        return
    assert accepts(EmailAddress, stored)
    assert INTERNATIONAL.validate_python(stored) == stored
    assert stored.partition("@")[0] == text.partition("@")[0]
    if text.isascii():
        assert stored == text


@pytest.mark.parametrize("type_", TYPES)
def test_bytes_are_no_text(type_: Any) -> None:
    """YAML can hold them as !!binary; JSON, and so the API server, cannot."""
    assert not accepts(type_, b"example.com")


@pytest.mark.parametrize("spec", [{"suspend": "yes"}, {"suspend": 1}, {"port": "587"}])
def test_nothing_is_coerced_that_the_api_server_refuses(spec: dict[str, object]) -> None:
    assert not accepts(MailServerSpec, {"host": "smtp.example.com", **spec})


@given(st.sampled_from(TYPES), st.text(max_size=300))
def test_no_text_breaks_a_type(type_: Any, text: str) -> None:
    if accepts(type_, text):
        assert text.isascii()
        assert text.isprintable()


@pytest.mark.parametrize(
    "name",
    [
        "Support",
        "Smith, John",
        "Müller (Support)",
        "Example Inc.",
        "Team: Sales; EMEA [1]",
        "O'Brien & Søn",
        "株式会社サンプル",
        "نمونه\u200cها",  # Persian needs the joiner
        "👩\u200d💻",
        "a=b?",
        "🏴\U000e0067\U000e0062\U000e007f",
    ],
)
def test_names_of_people_and_firms_are_taken(name: str) -> None:
    assert accepts(DisplayName, name)


@over(
    [
        "",
        "x" * 129,
        "=?utf-8?b?DQpTdWJqZWN0OiBQYXkNCg==?=",
        "a =?iso-8859-1?q?=0A?= b",
        "=?",
        "\ud800",
        "a\udfffb",
        *(f"a{letter}b" for letter in '<>@"\\'),
        *(f"a{chr(code)}b" for code in (*range(0x20), *range(0x7F, 0xA0))),
        *(f"a{letter}b" for letter in "\u2028\u2029\u061c\u200e\u200f\ufeff\u200b\u2060\ufffa"),
        *(f"a{chr(code)}b" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))),
    ],
)
def test_what_could_be_more_than_a_name_is_refused(name: str) -> None:
    assert not accepts(DisplayName, name)


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("a@example.com", True),
        ("a=b?@example.com", True),
        ("=?utf-8?q?a?=@example.com", False),
        ("a@example.com\r\nBcc: b@example.com", False),
        ("a@Example.com", False),
        ("a@example.com>", False),
        ("a\x85@example.com", False),
        ("\ud800@example.com", False),
        ("", False),
    ],
)
def test_an_address_is_no_more_than_one(address: str, is_one: bool) -> None:
    assert is_email_address(address) is is_one
    assert accepts(EmailAddress, address) is is_one


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("SMTP.Example.com.", "smtp.example.com"),
        ("https://mail.example.com:8443/login", "mail.example.com"),
        (" smtp.example.com:587 ", "smtp.example.com"),
        ("smtp.b\u00fccher.example", "smtp.xn--bcher-kva.example"),
        # What no host has in its name, a name in DNS may have.
        ("_SPF.B\u00fccher.example", "_spf.xn--bcher-kva.example"),
        ("_spf.\u2603.example", "_spf.\u2603.example"),
        ("", ""),
    ],
)
def test_the_host_that_is_meant(text: str, host: str) -> None:
    assert as_host(text) == host


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Support <Support@Example.com>", "Support@example.com"),
        ("mailto:a@example.com", "a@example.com"),
        (" a@b\u00fccher.example. ", "a@xn--bcher-kva.example"),
        ("nobody", "nobody"),
    ],
)
def test_the_address_that_is_meant(text: str, address: str) -> None:
    assert as_address(text) == address
