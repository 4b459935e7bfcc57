# SPDX-License-Identifier: Apache-2.0
"""Signing in with OAuth tokens over SMTP and IMAP, against scripted servers.

Covers: what is sent with XOAUTH2 and OAUTHBEARER, in one line or two; which of them is chosen; how
the error challenge is answered and what it means together with the final reply; providers' own
refusals; servers that take no token, and tokens that cannot be sent.
"""

from __future__ import annotations

import re

import pytest

from lab.hostile import Hostile, Step, answer, imap_until_login, judge, packed, smtp_until_auth
from lab.mail_probing import (
    ECHO,
    HOST,
    LOGIN,
    TOKEN,
    TOKEN_LOGIN,
    context,
    imap,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    smtp,
    verdict,
)
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.report import Login, ProbeReport

BEARER = f"auth=Bearer {TOKEN}\x01\x01"
XOAUTH2 = f"user=user@example.com\x01{BEARER}"
LONG = Login("user@example.com", Masked("hunter2" + "x" * 2000), token=True)
REFUSED = packed({"status": "invalid_token", "schemes": "bearer", "scope": ECHO})
OPENED: tuple[Step, ...] = (
    *("read", answer(b"OK"), "read", answer(b"OK [READ-ONLY]", b"0 EXISTS"), "read"),
)
Talk = tuple[ProbeReport, list[bytes]]


def oauthbearer(port: int, host: str = HOST) -> str:
    return f"n,a=user@example.com,\x01host={host}\x01port={port}\x01{BEARER}"


async def over_smtp(
    offers: bytes, *after: Step, login: Login = TOKEN_LOGIN, host: str = HOST
) -> Talk:
    steps = smtp_until_auth(offers, after=after)
    async with Hostile(*steps, context=context(host), implicit=True) as server:
        report = await smtp(server, TLSMode.IMPLICIT, login, host)
    return report, server.received


async def over_imap(
    offers: bytes, *after: Step, login: Login = TOKEN_LOGIN, host: str = HOST
) -> Talk:
    steps = imap_until_login(offers, after=after)
    async with Hostile(*steps, context=context(host), implicit=True) as server:
        report = await imap(server, login, host=host)
    return report, server.received


def attempts(received: list[bytes]) -> list[bytes]:
    """The commands that sign in, each with its mechanism."""
    found = [re.search(rb"\b(?:AUTH|AUTHENTICATE|LOGIN) \S+", one) for one in received]
    return [one[0] for one in found if one]


async def test_smtp_in_one_line() -> None:
    said = judge(XOAUTH2, b"235 2.7.0 ok\r\n", b"535 no\r\n")
    report, received = await over_smtp(b"AUTH PLAIN XOAUTH2", "read", said, "read")
    assert (outcome(report), report.authenticated) == (("Done", "ProbeSucceeded"), True)
    assert attempts(received) == [b"AUTH XOAUTH2"]


async def test_smtp_in_two_lines_where_one_would_be_too_long() -> None:
    said = judge(
        f"user=user@example.com\x01auth=Bearer {LONG.password.reveal()}\x01\x01",
        b"235 ok\r\n",
        b"535 no\r\n",
    )
    steps: tuple[Step, ...] = ("read", b"334 \r\n", "read", said, "read")
    report, received = await over_smtp(b"AUTH XOAUTH2", *steps, login=LONG)
    assert report.authenticated is True
    assert received[1] == b"AUTH XOAUTH2\r\n"
    assert all(len(one) <= 512 for one in received[:2])


async def test_imap_in_one_line() -> None:
    said = judge(XOAUTH2, b"TAG OK in\r\n", b"TAG NO out\r\n")
    report, received = await over_imap(b"SASL-IR AUTH=PLAIN AUTH=XOAUTH2", "read", said, *OPENED)
    assert (outcome(report), report.authenticated) == (("Done", "ProbeSucceeded"), True)
    assert attempts(received) == [b"AUTHENTICATE XOAUTH2"]


async def test_imap_in_two_lines() -> None:
    said = judge(XOAUTH2, b"* OK right\r\n", b"* BYE wrong\r\n")
    steps: tuple[Step, ...] = ("read", b"+ \r\n", "read", said, "close")
    report, received = await over_imap(b"AUTH=XOAUTH2", *steps)
    assert verdict(report) == ("Auth", "ProbeInconclusive", False)
    assert received[1].split()[1:] == [b"AUTHENTICATE", b"XOAUTH2"]


async def test_the_standard_goes_first() -> None:
    steps = smtp_until_auth(b"AUTH XOAUTH2 OAUTHBEARER", after=("read", b"235 ok\r\n"))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        await smtp(server, TLSMode.IMPLICIT, TOKEN_LOGIN)
    said = judge(oauthbearer(server.port), b"yes", b"no")
    assert callable(said)
    assert said(server.received[1]) == b"yes"


async def test_microsoft_documents_xoauth2_alone() -> None:
    host = "outlook.office365.com"
    _, received = await over_imap(
        b"AUTH=XOAUTH2 AUTH=OAUTHBEARER SASL-IR", "read", "close", host=host
    )
    assert attempts(received) == [b"AUTHENTICATE XOAUTH2"]


@pytest.mark.parametrize(
    ("mechanism", "farewell"), [(b"XOAUTH2", b"\r\n"), (b"OAUTHBEARER", b"AQ==\r\n")]
)
async def test_an_error_is_answered_before_the_final_no(mechanism: bytes, farewell: bytes) -> None:
    steps: tuple[Step, ...] = ("read", b"334 " + REFUSED + b"\r\n", "read", b"535 5.7.8 canary\r\n")
    report, received = await over_smtp(b"AUTH " + mechanism, *steps)
    assert (verdict(report), report.authenticated) == (
        ("Auth", "AuthenticationRejected", True),
        False,
    )
    assert "535 5.7.8 (invalid_token)" in report.message
    assert received[2] == farewell
    steps = ("read", b"+ " + REFUSED + b"\r\n", "read", "close")
    report, received = await over_imap(b"SASL-IR AUTH=" + mechanism, *steps)
    assert verdict(report) == ("Auth", "AuthenticationRejected", True)
    assert received[2] == farewell
    assert ECHO not in repr(report)


def refusing(challenge: bytes, *final: Step) -> tuple[Step, ...]:
    return ("read", challenge, "read", *final)


def smtp_and_imap(
    document: dict[str, object] | str, smtp: Step, imap: Step
) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    said = packed(document)
    return (
        refusing(b"334 " + said + b"\r\n", smtp, "stall"),
        refusing(b"+ " + said + b"\r\n", imap, "stall"),
    )


INVALID: dict[str, object] = {"status": "invalid_token"}


REFUSALS: dict[str, tuple[dict[str, object] | str, str, str, bool, bool | None]] = {
    "closed": (INVALID, "close", "AuthenticationRejected", True, False),
    "silence": (INVALID, "stall", "AuthenticationRejected", True, False),
    "a number": (
        {"status": "400", "schemes": "Bearer"},
        "close",
        "AuthenticationRejected",
        True,
        False,
    ),
    "its own trouble": ({"status": "503"}, "close", "ProbeInconclusive", False, None),
    "no status": ({"error": "canary"}, "close", "ProbeInconclusive", False, None),
    "no JSON": ("canary", "close", "ProbeInconclusive", False, None),
    "deep JSON": ("[" * 5000, "close", "ProbeInconclusive", False, None),
    "a foreign status": ({"status": "canary"}, "close", "ProbeInconclusive", False, None),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_errors_without_a_final_no(name: str) -> None:
    document, end, reason, conclusive, authenticated = REFUSALS[name]
    smtp_steps, imap_steps = smtp_and_imap(document, end, end)
    for report, received in (
        await over_smtp(b"AUTH XOAUTH2", *smtp_steps),
        await over_imap(b"SASL-IR AUTH=XOAUTH2", *imap_steps),
    ):
        assert verdict(report) == ("Auth", reason, conclusive)
        assert report.authenticated is authenticated
        assert len(attempts(received)) == 1
        assert ECHO not in repr(report)


async def test_a_challenge_that_is_no_base64() -> None:
    report, _ = await over_smtp(b"AUTH XOAUTH2", *refusing(b"334 \xff!canary\r\n", b"535 x\r\n"))
    assert verdict(report) == ("Auth", "AuthenticationRejected", True)
    report, _ = await over_imap(b"AUTH=XOAUTH2 SASL-IR", *refusing(b"+ a\r\n", "close"))
    assert verdict(report) == ("Auth", "ProbeInconclusive", False)


@pytest.mark.parametrize("status", ["503", "500", "429", "temporarily_unavailable", "server_error"])
async def test_a_refusal_after_trouble_of_the_servers_own_is_no_verdict(status: str) -> None:
    tags, said = list[bytes](), packed({"status": status})

    def challenge(command: bytes) -> bytes:
        tags.append(command.split()[0])
        return b"+ " + said + b"\r\n"

    def final(_: bytes) -> bytes:
        return tags[-1] + b" NO canary\r\n"

    smtp_steps = refusing(b"334 " + said + b"\r\n", b"535 5.7.8 canary\r\n")
    imap_steps = ("read", challenge, "read", final, "stall")
    for report, _ in (
        await over_smtp(b"AUTH XOAUTH2", *smtp_steps),
        await over_imap(b"SASL-IR AUTH=XOAUTH2", *imap_steps),
    ):
        assert verdict(report) == ("Auth", "TemporaryFailure", False)
        assert report.authenticated is None
        assert f"({status})" in report.message
        assert ECHO not in repr(report)


FINAL: dict[str, tuple[bytes, str, bool, bool | None]] = {
    "535": (b"535 5.7.8 canary\r\n", "AuthenticationRejected", True, False),
    "454": (b"454 4.7.0 canary\r\n", "TemporaryFailure", False, None),
    "421": (b"421 4.7.0 canary\r\n", "ServiceUnavailable", False, None),
    "asks on": (b"334 \r\n", "ProbeInconclusive", False, None),
    "250": (b"250 canary\r\n", "ProbeInconclusive", False, None),
}


@pytest.mark.parametrize("name", FINAL)
async def test_the_final_reply_of_smtp_decides(name: str) -> None:
    said, reason, conclusive, authenticated = FINAL[name]
    steps = refusing(b"334 " + REFUSED + b"\r\n", said)
    report, received = await over_smtp(b"AUTH OAUTHBEARER", *steps)
    assert verdict(report) == ("Auth", reason, conclusive)
    assert report.authenticated is authenticated
    assert attempts(received) == [b"AUTH OAUTHBEARER"]
    assert ECHO not in repr(report)


FINAL_IMAP: dict[str, tuple[Step, str, bool, bool | None]] = {
    "no": (answer(b"NO canary"), "AuthenticationRejected", True, False),
    "unavailable": (answer(b"NO [UNAVAILABLE] canary"), "TemporaryFailure", False, None),
    "bad": (answer(b"BAD canary"), "ProbeInconclusive", False, None),
    "bye": (b"* BYE canary\r\n", "ProbeInconclusive", False, None),
}


@pytest.mark.parametrize("name", FINAL_IMAP)
async def test_the_final_reply_of_imap_decides(name: str) -> None:
    said, reason, conclusive, authenticated = FINAL_IMAP[name]
    report, received = await over_imap(b"SASL-IR AUTH=OAUTHBEARER", "read", said, "stall")
    assert verdict(report) == ("Auth", reason, conclusive)
    assert report.authenticated is authenticated
    assert attempts(received) == [b"AUTHENTICATE OAUTHBEARER"]
    assert ECHO not in repr(report)


async def test_an_insufficient_scope_has_its_own_remedy() -> None:
    said = b"334 " + packed({"status": "insufficient_scope", "scope": ECHO}) + b"\r\n"
    report, _ = await over_smtp(b"AUTH OAUTHBEARER", *refusing(said, b"535 x\r\n"))
    assert "(insufficient_scope). The token is good, but it lacks the scope" in report.message
    assert ECHO not in repr(report)


PROVIDERS: dict[str, tuple[str, bytes, str, str]] = {
    "gmail": (
        "smtp.gmail.com",
        b"535 5.7.8 Username and Password not accepted. a1-gsmtp\r\n",
        "AuthenticationRejected",
        "https://mail.google.com/",
    ),
    "microsoft": (
        "smtp.office365.com",
        b"535 5.7.3 Authentication unsuccessful [X.PROD.OUTLOOK.COM]\r\n",
        "AuthenticationRejected",
        "service principal",
    ),
    "a tenant without SMTP AUTH": (
        "smtp.office365.com",
        b"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the "
        b"Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.\r\n",
        "AccountDisabled",
        "Set-TransportConfig",
    ),
}


@pytest.mark.parametrize("name", PROVIDERS)
async def test_what_providers_say_to_tokens(name: str) -> None:
    host, said, reason, remedy = PROVIDERS[name]
    report, _ = await over_smtp(b"AUTH XOAUTH2", "read", said, host=host)
    assert verdict(report) == ("Auth", reason, True)
    assert remedy in report.message


async def test_servers_that_take_no_token() -> None:
    report, received = await over_smtp(b"AUTH PLAIN LOGIN <canary>", "stall")
    assert verdict(report) == ("Auth", "MechanismUnsupported", True)
    assert "offers LOGIN, PLAIN; a token needs XOAUTH2 or OAUTHBEARER" in report.message
    assert attempts(received) == []
    report, received = await over_imap(b"AUTH=PLAIN SASL-IR", "stall")
    assert verdict(report) == ("Auth", "MechanismUnsupported", True)
    assert "offers PLAIN; a token needs" in report.message
    assert attempts(received) == []
    report, received = await over_smtp(b"SIZE 1", "stall")
    assert verdict(report) == ("Auth", "CapabilityMissing", True)


@pytest.mark.parametrize("username", ["", "a\x01auth=Bearer x@b", "a b@c"])
async def test_what_no_message_can_carry_is_not_sent(username: str) -> None:
    login = Login(username, TOKEN_LOGIN.password, token=True)
    report, received = await over_smtp(b"AUTH XOAUTH2", "stall", login=login)
    assert verdict(report) == ("Auth", "InvalidSpec", True)
    assert attempts(received) == []
    report, received = await over_imap(b"AUTH=XOAUTH2", "stall", login=login)
    assert verdict(report) == ("Auth", "InvalidSpec", True)
    assert attempts(received) == []


async def test_tokens_are_not_sent_in_the_clear() -> None:
    async with Hostile("stall") as server:
        for report in (
            await smtp(server, TLSMode.NONE, TOKEN_LOGIN),
            await imap(server, TOKEN_LOGIN, mode=TLSMode.NONE),
            await imap(server, LOGIN, mode=TLSMode.NONE),
        ):
            assert outcome(report) == ("Auth", "EncryptionRequired")
    assert server.connections == 0
