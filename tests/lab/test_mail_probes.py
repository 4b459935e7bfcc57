# SPDX-License-Identifier: Apache-2.0
"""Probes from end to end, against the lab's servers and against scripted ones.

Covers: dialling (names, the guard, refused and silent ports); SMTP and IMAP that work; the budget
of refusals per host; turns per host; the deadline of a whole probe; cancellation; and that what
TLS held is given back.
"""

from __future__ import annotations

import asyncio
import gc
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiosmtplib.protocol import SMTPProtocol

from lab.hostile import Hostile, Step, smtp_until_auth
from lab.mail_probing import (
    LOGIN,
    SOON,
    context,
    endpoint,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    probes,
    verdict,
)
from loopback import own_address
from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.lab.lab import IMAPS_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT, Lab
from postroom.lab.operator_process import free_port
from postroom.mail.connect.dial import Deadlines
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.imap.protocol import GuardedProtocol
from postroom.mail.limits.hosts import HOST_LIMIT
from postroom.mail.limits.peers import REFUSALS_OF_ADDRESS
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint, Login
from postroom.mail.smtp.client import SmtpClient
from postroom.mail.smtp.closing_reply import ClosingReply


async def test_nothing_listens() -> None:
    port = free_port()
    report = await probes(port).probe(endpoint(port), None)
    assert verdict(report) == ("Connect", "ConnectionRefused", True)


async def test_a_name_without_addresses() -> None:
    report = await probes(587, ()).probe(endpoint(587), None)
    assert verdict(report) == ("Resolve", "HostNotFound", True)


async def test_a_name_that_cannot_be_looked_up() -> None:
    report = await probes(587, None).probe(endpoint(587), None)
    assert verdict(report) == ("Resolve", "LookupFailed", False)


async def test_denied_targets_are_not_dialled() -> None:
    async with Hostile() as server:
        inner = await probes(server.port, ("127.0.0.1", "10.0.0.1")).probe(
            endpoint(server.port), None
        )
        odd = await probes(587).probe(endpoint(6379), None)
    assert verdict(inner) == ("Guard", "AddressDenied", True)
    assert verdict(odd) == ("Guard", "PortDenied", True)
    assert server.connections == 0


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path, address=own_address(44)) as running:
        yield running


def lab_endpoint(lab: Lab, host: str, port: int, mode: TLSMode) -> tuple[NetworkProbes, Endpoint]:
    made = probes(port, (lab.reach.address,), Deadlines())
    name = f"{host}.mail.example.org"
    return made, Endpoint(name, port, mode, name, lab.ca_pem, "mail")


RELAY = Login("relay@example.com", Masked("lab-relay-password"))


#: What of a session knows others of it, that know it.
SESSIONS = (SmtpClient, ClosingReply, SMTPProtocol, GuardedProtocol)


@pytest.mark.parametrize(
    ("host", "port", "mode", "mailbox"),
    [
        ("smtp", SUBMISSION_PORT, TLSMode.START_TLS, None),
        ("smtp", SUBMISSIONS_PORT, TLSMode.IMPLICIT, None),
        ("imap", IMAPS_PORT, TLSMode.IMPLICIT, "INBOX"),
    ],
)
async def test_what_a_session_held_is_given_back_without_the_garbage_collector(
    lab: Lab, host: str, port: int, mode: TLSMode, mailbox: str | None
) -> None:
    """Of TLS 256 KiB each, which are few objects: that would come late. Where all else of sessions
    is left to the collector, it is what that has to do."""
    made, target = lab_endpoint(lab, host, port, mode)

    def held() -> int:
        ours = [each for each in gc.get_objects() if type(each) is SSLProtocol]
        known = [each for each in gc.get_objects() if type(each) in SESSIONS]
        return sum(not each._server_side for each in ours) + len(known)

    gc.collect()
    gc.disable()
    try:
        before = held()
        for _ in range(3):
            assert (await made.probe(target, RELAY, mailbox)).reason is Reason.PROBE_SUCCEEDED
        async with asyncio.timeout(30):
            while held() > before:  # noqa: ASYNC110 - the loop tells nobody
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("port", "mode"),
    [(SUBMISSION_PORT, TLSMode.START_TLS), (SUBMISSIONS_PORT, TLSMode.IMPLICIT)],
)
async def test_smtp_works(lab: Lab, port: int, mode: TLSMode) -> None:
    made, where = lab_endpoint(lab, "smtp", port, mode)
    report = await made.probe(where, RELAY)
    assert (outcome(report), report.authenticated) == (("Done", "ProbeSucceeded"), True)
    assert report.server is not None
    assert "PLAIN" in report.server.auth_mechanisms
    assert report.tls is not None
    assert report.tls.version == "TLSv1.3"


async def test_imap_works(lab: Lab) -> None:
    made, where = lab_endpoint(lab, "imap", IMAPS_PORT, TLSMode.IMPLICIT)
    report = await made.probe(where, RELAY, "INBOX")
    assert outcome(report) == ("Done", "ProbeSucceeded")
    assert report.mailbox is not None
    assert (report.mailbox.messages, report.mailbox.unseen, report.mailbox.uid_next) == (3, 3, 4)


@pytest.mark.parametrize(
    ("login", "mailbox", "stage", "reason"),
    [
        (LOGIN, "INBOX", "Auth", "AuthenticationRejected"),
        (RELAY, "Archive", "Mailbox", "MailboxNotFound"),
        (RELAY, "Entwürfe", "Mailbox", "MailboxNotFound"),
    ],
)
async def test_imap_refuses(lab: Lab, login: Login, mailbox: str, stage: str, reason: str) -> None:
    made, where = lab_endpoint(lab, "imap", IMAPS_PORT, TLSMode.IMPLICIT)
    report = await made.probe(where, login, mailbox)
    assert outcome(report) == (stage, reason)


async def test_too_many_refusals_pause_signing_in_for_all(lab: Lab) -> None:
    made, where = lab_endpoint(lab, "smtp", SUBMISSIONS_PORT, TLSMode.IMPLICIT)
    for _ in range(3):
        assert (await made.probe(where, LOGIN)).reason is Reason.AUTHENTICATION_REJECTED
    paused = await made.probe(where, RELAY)
    assert (paused.stage, paused.reason) == (ProbeStage.AUTH, Reason.HOST_AUTH_COOLDOWN)
    assert not paused.conclusive
    assert (await made.probe(where, None)).stage is ProbeStage.DONE


async def test_probes_at_the_same_time_do_not_overdraw_the_budget() -> None:
    steps = smtp_until_auth(b"AUTH PLAIN", after=("read", b"535 5.7.8 no\r\n"))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        asking, where = probes(server.port), endpoint(server.port, TLSMode.IMPLICIT)
        reports = await asyncio.gather(*(asking.probe(where, LOGIN) for _ in range(8)))
    assert sum(one.startswith(b"AUTH") for one in server.received) == 3
    reasons = [report.reason for report in reports]
    assert reasons.count(Reason.AUTHENTICATION_REJECTED) == 3
    assert reasons.count(Reason.HOST_AUTH_COOLDOWN) == 5


async def test_other_names_of_a_server_do_not_overdraw_the_budget_either() -> None:
    """Names for its address anybody has, with its own name in `tls.serverName`."""
    said = list[str]()
    steps = smtp_until_auth(b"AUTH PLAIN", after=("read", b"535 5.7.8 no\r\n"))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        asking, where = probes(server.port), endpoint(server.port, TLSMode.IMPLICIT)
        asking.signed_in = lambda used, login: said.append(used.host)
        reports = [
            await asking.probe(replace(where, host=f"a{number}.example.net"), LOGIN)
            for number in range(REFUSALS_OF_ADDRESS + 5)
        ]
        other = await asking.probe(replace(where, host="b.example", namespace="other"), LOGIN)
    refused, paused = reports[:REFUSALS_OF_ADDRESS], reports[REFUSALS_OF_ADDRESS:]
    assert {report.reason for report in refused} == {Reason.AUTHENTICATION_REJECTED}
    assert {report.reason for report in paused} == {Reason.HOST_AUTH_COOLDOWN}
    for report in paused:
        assert (report.stage, report.conclusive) == (ProbeStage.AUTH, False)
        assert report.retry_after is not None and report.tls is not None
    assert other.reason is Reason.AUTHENTICATION_REJECTED
    auths = sum(one.startswith(b"AUTH") for one in server.received)
    assert (auths, len(said)) == (REFUSALS_OF_ADDRESS + 1, REFUSALS_OF_ADDRESS + 1)


async def test_neither_do_other_spellings_of_its_address() -> None:
    """An address in IPv4 may be published as one in IPv6, which reaches the same server."""
    steps = smtp_until_auth(b"AUTH PLAIN", after=("read", b"535 5.7.8 no\r\n"))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        spelt = list[str]()

        async def resolve(host: str) -> tuple[str, ...]:
            spelt.append(("127.0.0.1", "::ffff:127.0.0.1")[len(spelt) % 2])
            return (spelt[-1],)

        policy = DialPolicy((ip_network("127.0.0.0/8"),), frozenset({server.port}))
        asking, where = NetworkProbes(policy, resolve, SOON, quiet=0), endpoint(server.port)
        reports = [
            await asking.probe(
                replace(where, host=f"a{number}.example.net", tls=TLSMode.IMPLICIT), LOGIN
            )
            for number in range(REFUSALS_OF_ADDRESS + 2)
        ]
    assert {report.reason for report in reports[:-2]} == {Reason.AUTHENTICATION_REJECTED}
    assert {report.reason for report in reports[-2:]} == {Reason.HOST_AUTH_COOLDOWN}
    assert len(set(spelt)) == 2


async def test_logins_that_are_under_way_count_as_refused_until_it_is_known() -> None:
    steps = smtp_until_auth(b"AUTH PLAIN", after=("read", b"535 5.7.8 no\r\n"))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        asking, where = probes(server.port), endpoint(server.port, TLSMode.IMPLICIT)
        reports = await asyncio.gather(
            *(
                asking.probe(replace(where, host=f"a{number}.example.net"), LOGIN)
                for number in range(2 * REFUSALS_OF_ADDRESS)
            )
        )
    reasons = [report.reason for report in reports]
    assert reasons.count(Reason.AUTHENTICATION_REJECTED) == REFUSALS_OF_ADDRESS
    assert reasons.count(Reason.HOST_AUTH_COOLDOWN) == REFUSALS_OF_ADDRESS
    auths = sum(one.startswith(b"AUTH") for one in server.received)
    assert auths == REFUSALS_OF_ADDRESS


async def test_replies_that_refuse_no_credentials_do_not_count() -> None:
    steps = smtp_until_auth(b"AUTH PLAIN", after=("read", b"454 4.7.0 later\r\n"))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        asking, where = probes(server.port), endpoint(server.port, TLSMode.IMPLICIT)
        for _ in range(4):
            assert (await asking.probe(where, LOGIN)).reason is Reason.TEMPORARY_FAILURE


async def test_a_slow_host_holds_up_no_other() -> None:
    slow_enough = replace(SOON, greeting=60, total=60)
    async with Hostile("stall") as slow, Hostile(*smtp_until_auth(after=("read",))) as quick:
        asking = probes(quick.port, deadlines=slow_enough, other_ports=(slow.port,))
        waiting = [
            asyncio.create_task(asking.probe(endpoint(slow.port, host="slow.example.com"), None))
            for _ in range(110)
        ]
        await asyncio.sleep(0.2)
        async with asyncio.timeout(20):
            report = await asking.probe(endpoint(quick.port), None)
        assert slow.connections == HOST_LIMIT
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert report.stage is ProbeStage.DONE


@pytest.mark.parametrize(
    ("steps", "stage"),
    [(("stall",), "Greeting"), ((b"220 x\r\n", "read", "stall"), "Capabilities")],
)
async def test_the_deadline_of_a_whole_probe_names_the_stage(
    steps: tuple[Step, ...], stage: str
) -> None:
    patient = Deadlines(total=0.3)
    async with Hostile(*steps) as server:
        report = await probes(server.port, deadlines=patient).probe(endpoint(server.port), None)
    assert verdict(report) == (stage, "ConnectionTimeout", False)


STALLS: dict[str, tuple[TLSMode, tuple[Step, ...], bool]] = {
    "greeting": (TLSMode.NONE, ("stall",), False),
    "handshake": (TLSMode.IMPLICIT, ("stall",), False),
    "greeting after the handshake": (TLSMode.IMPLICIT, ("stall",), True),
    "starttls": (
        TLSMode.START_TLS,
        smtp_until_auth(b"STARTTLS", after=("read", b"220 go\r\n", "stall")),
        False,
    ),
    "auth": (TLSMode.IMPLICIT, smtp_until_auth(b"AUTH PLAIN", after=("read", "stall")), True),
}


@pytest.mark.parametrize("name", STALLS)
async def test_a_cancelled_probe_leaves_nothing(name: str) -> None:
    mode, steps, implicit = STALLS[name]
    async with Hostile(*steps, context=context(), implicit=implicit) as server:
        login = None if mode is TLSMode.NONE else LOGIN
        asking = probes(server.port, deadlines=Deadlines())
        task = asyncio.create_task(asking.probe(endpoint(server.port, mode), login))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
