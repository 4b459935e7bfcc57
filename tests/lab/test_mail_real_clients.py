# SPDX-License-Identifier: Apache-2.0
"""The same odd servers asked by real clients and by us: where one of them signs in, so must we.

Where none can, we name a cause in time, without a traceback and in bounded memory. The clients are
curl, Python's own, and Debian's swaks, msmtp and mbsync (``apt-get install curl swaks msmtp
isync``); who is not installed is left out, and reported. With POSTROOM_REQUIRE_MAIL_SERVERS=1 its
absence is a failure.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
from pathlib import Path

import pytest

from lab.mail_probing import (
    SOON,
    endpoint,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    probes,
)
from lab.odd_configurations import ODD, TOO_SLOW, spoilt
from lab.odd_server import PASSWORD, USER, Odd, OddServer
from lab.real_clients import PACKAGES, clients_of
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.report import Login, ProbeReport

LOGIN = Login(USER, Masked(PASSWORD))
DONE = ("Done", "ProbeSucceeded")
#: Where some client signs in and we do not, each for a reason.
STRICTER = {
    # What comes in the clear after the answer to STARTTLS may be someone else's (RFC 3207 section
    # 4.2, RFC 9051 section 6.2.1); smtplib and mbsync do not look.
    "smtp STARTTLS injected": "someone in between",
    "imap STARTTLS injected": "someone in between",
    # curl and swaks skip it; smtplib and msmtp do not.
    "smtp empty line first": "no SMTP server",
    # imaplib sends LOGIN although PLAIN is offered; we choose what is offered, and once.
    "imap LOGIN takes back": "answers the login with BAD",
    # smtplib takes half of a line for a reply.
    "smtp closes in the middle in auth": "closes the connection",
    # Memory is bounded: 8 KiB a line in SMTP, of which 512 octets are allowed.
    "smtp a longer line in greeting": "more than postroom takes",
    "smtp a longer line in capabilities": "more than postroom takes",
    "smtp a longer line in auth": "neither with yes nor with no",
    "smtp a huge line in greeting": "more than postroom takes",
    "smtp a huge line in capabilities": "more than postroom takes",
    "smtp a huge line in auth": "neither with yes nor with no",
}


async def asked(odd: Odd) -> ProbeReport:
    async with OddServer(odd) as server:
        mode = TLSMode.IMPLICIT if odd.secured is None else TLSMode.START_TLS
        where, asking = endpoint(server.port, mode), probes(server.port)
        if odd.protocol == "smtp":
            return await asking.probe(where, LOGIN)
        return await asking.probe(where, LOGIN, "INBOX")


async def signing_in(odd: Odd, room: Path) -> set[str]:
    """The real clients that sign in."""

    async def one(name: str) -> str | None:
        async with OddServer(odd) as server:
            signs_in = await clients[name](server, odd.secured is not None, room)
        return name if signs_in else None

    clients = clients_of(odd.protocol)
    return {name for name in await asyncio.gather(*map(one, clients)) if name}


@pytest.mark.parametrize("program", PACKAGES)
def test_the_real_client_is_here(program: str) -> None:
    if shutil.which(program) is not None:
        return
    missing = f"{program} is not installed (apt-get install {PACKAGES[program]}): nothing is held "
    missing += "against what it does"
    if os.environ.get("POSTROOM_REQUIRE_MAIL_SERVERS") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.mark.parametrize("name", ODD)
async def test_where_real_clients_sign_in_so_do_we(name: str, tmp_path: Path) -> None:
    report = await asked(ODD[name])
    # smtplib and imaplib read what does not end for ever, into memory.
    theirs = await signing_in(ODD[name], tmp_path) if "endless" not in name else set()
    assert PASSWORD not in repr(report)
    if name in STRICTER:
        assert not report.authenticated
        assert STRICTER[name] in report.message
    elif theirs:
        assert report.authenticated, (theirs, report.message)
    if outcome(report) != DONE:
        assert report.message.endswith(".")
        assert "mail.example.com" in report.message


@pytest.mark.parametrize("name", [one for one in ODD if "carriage returns alone in" in one])
async def test_who_ends_lines_otherwise_is_told_so(name: str) -> None:
    report = await asked(ODD[name])
    assert not report.conclusive or report.stage.value == "Greeting"
    assert "ends its lines with a carriage return alone" in report.message


@pytest.mark.parametrize("protocol", ["smtp", "imap"])
@pytest.mark.parametrize("stage", ["greeting", "capabilities", "auth"])
async def test_who_does_not_finish_a_line_is_told_so(protocol: str, stage: str) -> None:
    report = await asked(
        spoilt({"half": lambda reply: [reply[:5], 60.0]})[f"{protocol} half in {stage}"]
    )
    assert outcome(report) == (stage.capitalize(), "ConnectionTimeout")
    assert "begins to answer, but does not end the line in time" in report.message


SLOW = spoilt(TOO_SLOW)


@pytest.mark.parametrize("name", SLOW)
async def test_who_is_too_slow_is_told_so_in_time(name: str) -> None:
    begun = asyncio.get_running_loop().time()
    report = await asked(SLOW[name])
    assert asyncio.get_running_loop().time() - begun < SOON.total + 2
    assert report.reason.value in ("ConnectionTimeout", "HandshakeFailed")
    at = {"challenge": "auth", "greeting": "greeting capabilities"}
    stage = name.rpartition(" ")[2]
    assert report.stage.value.casefold() in at.get(stage, stage)


@pytest.mark.parametrize("name", [one for one in ODD if "endless" in one or "huge" in one])
async def test_memory_is_bounded(name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await asked(ODD[name])
    # In KiB; the server's own buffers are in the same process.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
