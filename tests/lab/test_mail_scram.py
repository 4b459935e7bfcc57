# SPDX-License-Identifier: Apache-2.0
"""Servers that take a password by SCRAM alone: odd ones that work, and those that cheat."""

from __future__ import annotations

import threading
import time

import pytest

from lab.hostile import Answers, Hostile, Step, answer, imap_until_login, smtp_until_auth
from lab.imap_lab import OK
from lab.mail_probing import (
    HOST,
    LOGIN,
    context,
    endpoint,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    probes,
    verdict,
)
from lab.scram_server import Knowing
from postroom.api.mailserver import TLSMode
from postroom.mail.report import ProbeReport
from postroom.mail.session.scram import ScramExchange

WORKS = ("Done", "ProbeSucceeded")
UNPROVEN = ("Auth", "ProbeInconclusive", False)
REJECTED = ("Auth", "AuthenticationRejected", True)


def smtp(knows: Knowing, *, heeds: bool = True, proves: bool = True) -> tuple[Step, ...]:
    def judged(line: bytes) -> bytes:
        final = knows.final(line)
        if final is None:
            return b"535 5.7.8 no\r\n"
        return b"334 " + final + b"\r\n" if proves else b"235 2.7.0 yes\r\n"

    ignored: tuple[Step, ...] = () if heeds else (b"334 \r\n", "read")
    challenge: Step = lambda line: b"334 " + knows.challenge(line) + b"\r\n"  # noqa: E731
    ends: tuple[Step, ...] = ("read", b"235 2.7.0 yes\r\n") if proves else ()
    after = ("read", *ignored, challenge, "read", judged, *ends, "read", b"221 bye\r\n")
    return smtp_until_auth(b"AUTH GSSAPI SCRAM-SHA-256", after=after)


def imap(
    knows: Knowing, *offers: bytes, initial: bool = True, proves: bool = True
) -> tuple[Step, ...]:
    tag = b""

    def begun(line: bytes) -> bytes:
        nonlocal tag
        tag = line.split()[0]
        return b"+ " + knows.challenge(line) + b"\r\n" if initial else b"+ \r\n"

    def judged(line: bytes) -> bytes:
        final = knows.final(line)
        if final is None:
            return tag + b" NO [AUTHENTICATIONFAILED] no\r\n"
        return b"+ " + final + b"\r\n" if proves else tag + b" OK yes\r\n"

    first: tuple[Step, ...] = (
        () if initial else ("read", lambda line: b"+ " + knows.challenge(line) + b"\r\n")
    )
    ends: tuple[Step, ...] = ("read", lambda _: tag + b" OK yes\r\n") if proves else ()
    counts = (b"1 EXISTS", b"OK [UIDVALIDITY 5] x", b"OK [UIDNEXT 9] x")
    opened = Answers(
        {
            b"EXAMINE": (answer(b"OK", *counts),),
            b"LOGOUT": (OK,),
            b"LIST": (OK,),
            b"STATUS": (OK,),
            b"CAPABILITY": (answer(b"OK", b"CAPABILITY IMAP4rev1"),),
        },
        b"LOGOUT",
    )
    steps: tuple[Step, ...] = ("read", begun, *first, "read", judged, *ends, opened)
    sasl_ir = (b"SASL-IR",) if initial else ()
    return imap_until_login(b"AUTH=SCRAM-SHA-256", *sasl_ir, *offers, after=steps)


async def probed(protocol: str, steps: tuple[Step, ...]) -> ProbeReport:
    async with Hostile(*steps, context=context(), implicit=True) as server:
        where = endpoint(server.port, TLSMode.IMPLICIT, HOST)
        if protocol == "smtp":
            return await probes(server.port).probe(where, LOGIN)
        return await probes(server.port).probe(where, LOGIN, "INBOX")


@pytest.mark.parametrize("heeds", [True, False])
async def test_smtp(heeds: bool) -> None:
    report = await probed("smtp", smtp(Knowing(), heeds=heeds))
    assert (outcome(report), report.authenticated) == (WORKS, True)


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("offers", [(), (b"LOGINDISABLED",)])
async def test_imap(initial: bool, offers: tuple[bytes, ...]) -> None:
    report = await probed("imap", imap(Knowing(), *offers, initial=initial))
    assert (outcome(report), report.authenticated) == (WORKS, True)


@pytest.mark.parametrize(("protocol", "made"), [("smtp", smtp), ("imap", imap)])
async def test_another_password(protocol: str, made: object) -> None:
    assert callable(made)
    report = await probed(protocol, made(Knowing("hunter2-other")))
    assert (verdict(report), report.authenticated) == (REJECTED, False)


@pytest.mark.parametrize(("protocol", "made"), [("smtp", smtp), ("imap", imap)])
@pytest.mark.parametrize(("cheats", "proves"), [(True, True), (False, False)])
async def test_a_yes_without_proof(protocol: str, made: object, cheats: bool, proves: bool) -> None:
    """Whoever says yes to all is not who knows the password."""
    assert callable(made)
    report = await probed(protocol, made(Knowing(cheats=cheats), proves=proves))
    assert (verdict(report), report.authenticated) == (UNPROVEN, None)
    assert "does not prove that it knows the password" in report.message


@pytest.mark.parametrize(("protocol", "made"), [("smtp", smtp), ("imap", imap)])
async def test_a_server_does_not_choose_how_long_we_compute(protocol: str, made: object) -> None:
    assert callable(made)
    began = time.process_time()
    report = await probed(protocol, made(Knowing(iterations=999_999_999)))
    assert report.authenticated is None
    assert not report.conclusive
    assert time.process_time() - began < 2


@pytest.mark.parametrize(("protocol", "made"), [("smtp", smtp), ("imap", imap)])
async def test_others_go_on_while_a_proof_is_computed(
    protocol: str, made: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the thread of the event loop."""
    assert callable(made)
    threads: list[threading.Thread] = []
    proof = ScramExchange.proof

    def noted(exchange: ScramExchange, challenge: bytes) -> bytes:
        threads.append(threading.current_thread())
        return proof(exchange, challenge)

    monkeypatch.setattr(ScramExchange, "proof", noted)
    assert (await probed(protocol, made(Knowing()))).authenticated
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
