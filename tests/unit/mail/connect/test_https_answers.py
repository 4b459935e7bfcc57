# SPDX-License-Identifier: Apache-2.0
"""Requests over HTTPS: whom they may connect to, pauses that servers ask for, what errors mean."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.https_answers import (
    NoAnswer,
    date_in,
    fault_of,
    judged_addresses,
    retry_after,
)

KEY: Any = SimpleNamespace(host="api.example.com", port=443, ssl=True)
DAY = 24 * 3600.0


async def judged(*found: str, known: bool = True, limit: float = 5) -> object:
    async def resolve(host: str) -> tuple[str, ...] | None:
        assert host == "api.example.com"
        if limit < 1:
            await asyncio.sleep(60)
        return found if known else None

    return await judged_addresses("api.example.com", "mail", resolve, DialPolicy(), limit)


async def test_public_addresses_may_be_dialled_a_few_of_them() -> None:
    found = await judged("8.8.8.8", "8.8.4.4", "2620:fe::fe")
    assert found == ["8.8.8.8", "2620:fe::fe", "8.8.4.4"]
    many = await judged(*(f"8.8.8.{last}" for last in range(20)))
    assert many == [f"8.8.8.{last}" for last in range(8)]


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"]
)
async def test_one_address_within_denies_all(address: str) -> None:
    for found in ((address,), ("8.8.8.8", address), (address, "8.8.8.8")):
        answer = await judged(*found)
        assert isinstance(answer, NoAnswer)
        assert answer.denied


async def test_a_name_without_addresses_is_told_from_one_that_could_not_be_looked_up() -> None:
    none, unknown, slow = await judged(), await judged(known=False), await judged(limit=0.01)
    assert isinstance(none, NoAnswer)
    assert "has no address in DNS" in none.sentence
    assert (
        unknown == slow == NoAnswer("The addresses of api.example.com could not be looked up now.")
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("999999999999", DAY),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Fri, 31 Dec 2999 23:59:59 GMT", DAY),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("\u0663", None),
        ("", None),
    ],
)
def test_pauses(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}) == seconds
    assert retry_after({}) is None


def test_a_pause_until_a_moment_is_counted_from_now() -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    pause = retry_after({"Retry-After": format_datetime(until, usegmt=True)})
    assert pause is not None
    assert 3600 < pause <= 7200


@given(st.text())
def test_any_text_is_a_bounded_pause_or_none(text: str) -> None:
    pause = retry_after({"Retry-After": text})
    assert pause is None or 0 <= pause <= DAY


@pytest.mark.parametrize(
    "text",
    [
        # The three forms of RFC 9110 section 5.6.7, and one without a zone.
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_dates(text: str) -> None:
    assert date_in(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    assert date_in(text[:8]) is None


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("x")), "not trusted"),
        (ssl.SSLCertVerificationError(1, "x"), "not trusted"),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "x")), "TLS with"),
        (aiohttp.ClientConnectorError(KEY, OSError(111, "x")), "cannot be connected to"),
        (aiohttp.ServerDisconnectedError(), "breaks the connection off"),
        (aiohttp.ClientPayloadError(), "breaks the connection off"),
        (ConnectionResetError(), "breaks the connection off"),
    ],
)
def test_errors_say_nothing_against_what_was_asked(error: Any, word: str) -> None:
    found = fault_of(error, "api.example.com")
    assert word in found.sentence
    assert "api.example.com" in found.sentence
    assert not found.denied
