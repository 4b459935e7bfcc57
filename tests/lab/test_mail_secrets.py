# SPDX-License-Identifier: Apache-2.0
"""No secret shows anywhere: random credentials against servers that refuse, repeat and break off.

Searched: the report, its repr, its message, and every log line at DEBUG (asyncio's and those of
the libraries included).
"""

from __future__ import annotations

import base64
import logging
import random
import string

import pytest

from lab.hostile import Hostile, Step, answer, imap_until_login, packed, smtp_until_auth
from lab.mail_probing import (
    context,
    endpoint,
    nothing_leaks,  # noqa: F401 - a fixture
    probes,
)
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.report import Login, ProbeReport

ALPHABETS = [string.ascii_letters, string.printable[:95], 'äöü€"\\ ']


def echo(code: bytes) -> Step:
    """Refuse, repeating what the client sent, raw and decoded."""

    def made(line: bytes) -> bytes:
        said = line.strip()
        last = said.rpartition(b" ")[2]
        try:
            decoded = base64.b64decode(last + b"===").replace(b"\0", b" ")
        except ValueError:
            decoded = b""
        return code.replace(b"TAG", said.split(b" ")[0]) + b" " + said + b" " + decoded + b"\r\n"

    return made


def in_json(code: bytes) -> Step:
    """Refuse a token with an error that repeats it."""

    def made(line: bytes) -> bytes:
        message = base64.b64decode(line.split()[-1]).decode()
        token = message.partition("Bearer ")[2].partition("\x01")[0]
        return code + b" " + packed({"status": token, "scope": token, "canary": message}) + b"\r\n"

    return made


SMTP: dict[str, tuple[Step, ...]] = {
    "refuses": smtp_until_auth(b"AUTH PLAIN", after=("read", echo(b"535 5.7.8"))),
    "asks on": smtp_until_auth(b"AUTH LOGIN", after=("read", echo(b"334"), "read", echo(b"535"))),
    "breaks the protocol": smtp_until_auth(b"AUTH PLAIN", after=("read", echo(b"xyz"), "stall")),
    "breaks off": smtp_until_auth(b"AUTH PLAIN", after=("read", "reset")),
}
IMAP: dict[str, tuple[Step, ...]] = {
    "refuses": imap_until_login(after=("read", echo(b"TAG NO"))),
    "refuses plain": imap_until_login(b"AUTH=PLAIN", b"SASL-IR", after=("read", echo(b"TAG NO"))),
    "says bad": imap_until_login(after=("read", echo(b"TAG BAD"))),
    "answers another": imap_until_login(after=("read", echo(b"OTHER OK"))),
    "says bye": imap_until_login(after=("read", echo(b"* BYE"))),
    "is silent": imap_until_login(after=("read", "stall")),
    "breaks off": imap_until_login(after=("read", "reset")),
    "asks for more": imap_until_login(after=("read", b"+ \r\n", "read", echo(b"* NO"), "stall")),
}


#: The same, and errors that repeat the token where a server names a status and a scope.
SMTP_TOKEN: dict[str, tuple[Step, ...]] = {
    "refuses": smtp_until_auth(b"AUTH XOAUTH2", after=("read", echo(b"535 5.7.8"))),
    "refuses in JSON": smtp_until_auth(
        b"AUTH OAUTHBEARER", after=("read", in_json(b"334"), "read", echo(b"535 5.7.8"))
    ),
    "breaks off after JSON": smtp_until_auth(
        b"AUTH XOAUTH2", after=("read", in_json(b"334"), "read", "reset")
    ),
    "breaks the protocol": smtp_until_auth(b"AUTH XOAUTH2", after=("read", echo(b"xyz"), "stall")),
}
IMAP_TOKEN: dict[str, tuple[Step, ...]] = {
    "refuses": imap_until_login(b"AUTH=XOAUTH2 SASL-IR", after=("read", echo(b"TAG NO"))),
    "refuses in JSON": imap_until_login(
        b"AUTH=XOAUTH2 SASL-IR", after=("read", in_json(b"+"), "read", echo(b"* BYE"))
    ),
    "two lines": imap_until_login(
        b"AUTH=OAUTHBEARER", after=("read", b"+ \r\n", "read", in_json(b"+"), "read", "stall")
    ),
    "says bad": imap_until_login(b"AUTH=OAUTHBEARER SASL-IR", after=("read", echo(b"TAG BAD"))),
    "asks on": imap_until_login(
        b"AUTH=XOAUTH2 SASL-IR", after=("read", *[echo(b"+")] * 5, "stall")
    ),
}


def canary(seed: int) -> Login:
    source = random.Random(seed)  # noqa: S311 - reproducible, and no secret of anyone
    made = "".join(source.choices(ALPHABETS[seed % len(ALPHABETS)], k=24))
    return Login("user@example.com", Masked(made))


def token(seed: int) -> Login:
    source = random.Random(seed)  # noqa: S311 - reproducible, and no secret of anyone
    made = "".join(source.choices(string.ascii_letters + string.digits + "-._", k=36 + seed))
    return Login("user@example.com", Masked(made), token=True)


def hunt(login: Login, report: ProbeReport, log: str) -> None:
    secret = login.password.reveal()
    plain = f"\0{login.username}\0{secret}".encode()
    shapes = [
        secret,
        secret.replace("\\", "\\\\").replace('"', '\\"'),
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(plain).decode(),
        # However the message around a token is shifted, it holds one of these.
        *(base64.b64encode(secret.encode()[at:]).decode()[:16] for at in range(3)),
    ]
    for place in (log, repr(report), str(report), report.message):
        assert [shape for shape in shapes if shape in place] == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SMTP)
async def test_smtp(name: str, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    login = canary(seed)
    async with Hostile(*SMTP[name], context=context(), implicit=True) as server:
        asking = probes(server.port)
        report = await asking.probe(endpoint(server.port, TLSMode.IMPLICIT), login)
    assert report.stage.value == "Auth"
    hunt(login, report, caplog.text)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", IMAP)
async def test_imap(name: str, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    login = canary(seed)
    async with Hostile(*IMAP[name], context=context(), implicit=True) as server:
        asking = probes(server.port)
        report = await asking.probe(endpoint(server.port, TLSMode.IMPLICIT), login, "INBOX")
    assert report.stage.value == "Auth"
    hunt(login, report, caplog.text)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SMTP_TOKEN)
async def test_tokens_over_smtp(name: str, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    login = token(seed)
    async with Hostile(*SMTP_TOKEN[name], context=context(), implicit=True) as server:
        report = await probes(server.port).probe(endpoint(server.port, TLSMode.IMPLICIT), login)
    assert report.stage.value == "Auth"
    assert carried(login, server.received)
    hunt(login, report, caplog.text)


@pytest.mark.parametrize("mode", [TLSMode.IMPLICIT, TLSMode.START_TLS])
@pytest.mark.parametrize("name", IMAP_TOKEN)
async def test_tokens_over_imap(name: str, mode: TLSMode, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    login, steps = token(len(name)), IMAP_TOKEN[name]
    if mode is TLSMode.START_TLS:
        begun = imap_until_login(b"STARTTLS", after=("read", answer(b"OK go"), "tls"))
        steps = (*begun, *steps[1:])
    implicit = mode is TLSMode.IMPLICIT
    async with Hostile(*steps, context=context(), implicit=implicit) as server:
        asking = probes(server.port)
        report = await asking.probe(endpoint(server.port, mode), login, "INBOX")
    assert report.stage.value == "Auth"
    assert carried(login, server.received)
    hunt(login, report, caplog.text)


def carried(login: Login, received: list[bytes]) -> bool:
    """Whether the token was sent at all, so that it could have been found."""
    decoded = [base64.b64decode(one.split()[-1] + b"===") for one in received if len(one) > 60]
    return any(login.password.reveal().encode() in one for one in decoded)


def test_a_login_does_not_show_its_password() -> None:
    login = canary(0)
    secret = login.password.reveal()
    assert secret not in repr(login)
    assert secret not in f"{login} {login.password!r} {login.password}"
