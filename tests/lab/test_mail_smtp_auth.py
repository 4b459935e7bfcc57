# SPDX-License-Identifier: Apache-2.0
"""Signing in over SMTP at servers that misbehave in every way.

Covers: refusals with the stage, the reason and whether they are a verdict; that one attempt is
made with one mechanism; and what PLAIN, LOGIN and CRAM-MD5 send.
"""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from lab.hostile import Hostile, Step, smtp_until_auth
from lab.mail_probing import (
    ECHO,
    LOGIN,
    PASSWORD,
    context,
    nothing_leaks,  # noqa: F401 - a fixture
    smtp,
    verdict,
)
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.report import Login, ProbeReport

REFUSALS: dict[str, tuple[bytes, tuple[Step, ...], str, bool, bool | None]] = {
    "535": (b"PLAIN", (b"535 5.7.8 canary\r\n",), "AuthenticationRejected", True, False),
    "535 to the name": (b"LOGIN", (b"535 canary\r\n",), "AuthenticationRejected", True, False),
    "another language": (
        *(b"PLAIN", ("535 5.7.8 compte verrouillé\r\n".encode("latin-1"),)),
        *("AccountLocked", True, False),
    ),
    "full": (b"PLAIN", (b"535 5.2.2 canary\r\n",), "TemporaryFailure", False, None),
    "greylisted": (b"PLAIN", (b"535 Greylisted\r\n",), "TemporaryFailure", False, None),
    # Yes and no at once.
    "235 of class 5": (b"PLAIN", (b"235 5.7.8 canary\r\n",), "ProbeInconclusive", False, None),
    "454": (b"PLAIN", (b"454 4.7.0 canary\r\n",), "TemporaryFailure", False, None),
    # The code says that it passes, the words that the password is wrong.
    "454 in words": (b"PLAIN", (b"454 Bad credentials\r\n",), "TemporaryFailure", False, False),
    "421 in words": (b"PLAIN", (b"421 Wrong password\r\n",), "TemporaryFailure", False, False),
    "listed": (b"PLAIN", (b"554 Listed in an RBL\r\n",), "ServiceUnavailable", True, None),
    "421": (b"PLAIN", (b"421 4.7.0 canary\r\n",), "ServiceUnavailable", False, None),
    "421 to the name": (b"LOGIN", (b"421 canary\r\n",), "ServiceUnavailable", False, None),
    "538": (b"PLAIN", (b"538 5.7.11 canary\r\n",), "EncryptionRequired", True, None),
    "504": (b"PLAIN", (b"504 5.5.4 canary\r\n",), "MechanismUnsupported", True, None),
    "503": (b"PLAIN", (b"503 5.5.1 canary\r\n",), "CapabilityMissing", True, None),
    "asks for more": (b"PLAIN", (b"334 canary\r\n",), "ProbeInconclusive", False, None),
    "250": (b"PLAIN", (b"250 canary\r\n",), "ProbeInconclusive", False, None),
    "garbage": (b"PLAIN", (b"canary\r\n", "stall"), "ProbeInconclusive", False, None),
    "bad challenge": (b"CRAM-MD5", (b"334 a\r\n", "stall"), "ProbeInconclusive", False, None),
    "silence": (b"PLAIN", ("stall",), "ConnectionTimeout", False, None),
    "closed": (b"PLAIN", ("close",), "ProbeInconclusive", False, None),
}


async def signing_in(*offers: bytes, after: tuple[Step, ...]) -> tuple[ProbeReport, list[bytes]]:
    steps = smtp_until_auth(*offers, after=after)
    async with Hostile(*steps, context=context(), implicit=True) as server:
        report = await smtp(server, TLSMode.IMPLICIT, LOGIN)
    return report, server.received


@pytest.mark.parametrize("name", REFUSALS)
async def test_logins_that_fail(name: str) -> None:
    mechanism, after, reason, conclusive, authenticated = REFUSALS[name]
    report, received = await signing_in(b"AUTH " + mechanism, after=("read", *after))
    assert verdict(report) == ("Auth", reason, conclusive)
    assert report.authenticated is authenticated
    assert sum(one.startswith(b"AUTH") for one in received) == 1
    assert ECHO not in repr(report)


async def test_a_refusal_names_its_cause_and_how_long_to_wait() -> None:
    busy, _ = await signing_in(b"AUTH PLAIN", after=("read", b"454 4.7.0 Too many logins\r\n"))
    assert (busy.cause, busy.retry_after) == ("TooManyLogins", timedelta(hours=1))
    wrong, _ = await signing_in(b"AUTH PLAIN", after=("read", b"535 5.7.8 no\r\n"))
    assert (wrong.cause, wrong.retry_after) == ("AuthenticationFailed", None)


async def test_a_server_without_auth() -> None:
    report, received = await signing_in(b"SIZE 10", after=("stall",))
    assert verdict(report) == ("Auth", "CapabilityMissing", True)
    assert not any(one.startswith(b"AUTH") for one in received)


async def test_no_mechanism_in_common() -> None:
    report, received = await signing_in(b"AUTH XOAUTH2 <canary>", after=("stall",))
    assert verdict(report) == ("Auth", "MechanismUnsupported", True)
    assert "only XOAUTH2;" in report.message
    assert not any(one.startswith(b"AUTH") for one in received)


async def test_one_mechanism_is_chosen() -> None:
    offers = b"AUTH CRAM-MD5 LOGIN PLAIN XOAUTH2"
    report, received = await signing_in(offers, after=("read", b"235 2.7.0 ok\r\n"))
    assert report.authenticated is True
    assert [one.split()[1] for one in received if one.startswith(b"AUTH")] == [b"PLAIN"]


async def test_signing_in_with_login() -> None:
    steps = ("read", b"334 UGFzc3dvcmQ6\r\n", "read", b"235 ok\r\n")
    report, received = await signing_in(b"AUTH LOGIN CRAM-MD5", after=steps)
    assert report.authenticated is True
    assert base64.b64decode(received[2]) == PASSWORD.encode()


async def test_signing_in_with_cram_md5() -> None:
    """The example of RFC 2195 section 2."""
    challenge = b"334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n"
    steps = smtp_until_auth(b"AUTH CRAM-MD5", after=("read", challenge, "read", b"235 ok\r\n"))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        login = Login("tim", Masked("tanstaaftanstaaf"))
        report = await smtp(server, TLSMode.IMPLICIT, login)
    assert report.authenticated is True
    assert base64.b64decode(server.received[2]) == b"tim b913a602c7eda7a495b4e6e7334d3890"
