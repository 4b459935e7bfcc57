# SPDX-License-Identifier: Apache-2.0
"""Probes over the network, with the limits that keep them from harming anyone."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TypeVar

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Deadlines, Dialler, Resolve, SystemResolver
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.tls import TrustStore
from postroom.mail.imap.history import ImapHistory
from postroom.mail.imap.probe import ImapProbe
from postroom.mail.imap.removal import ImapRemoval
from postroom.mail.imap.scan import ImapScan
from postroom.mail.limits.hosts import (
    HOST_LIMIT,
    QUIET,
    Hosts,
    RefusalBudget,
)
from postroom.mail.limits.priority import Gate
from postroom.mail.operations import (
    Acceptance,
    Answer,
    EnvelopeReport,
    HistoryReport,
    OutgoingMessage,
    Position,
    Removal,
    RemovalReport,
    ScanReport,
    SendReport,
)
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.session.echo_filter import without_withheld
from postroom.mail.session.probe import Probe
from postroom.mail.smtp.envelope import SmtpEnvelope
from postroom.mail.smtp.prober import SmtpProbe
from postroom.mail.smtp.sending import SmtpSending

#: Seconds.
_LEAST_PAUSE = 60

Errand = TypeVar("Errand", EnvelopeReport, SendReport, ScanReport, RemovalReport, HistoryReport)


class NetworkProbes:
    """Implements `postroom.reconcile.world.MailProbes`.

    `resolve` finds the addresses of hosts; None asks the system. `quiet` is for how many seconds
    nobody signs in where somebody was refused; `gate` bounds what is under way over all hosts,
    and `per_host` what one namespace has under way at one.
    """

    def __init__(
        self,
        policy: DialPolicy,
        resolve: Resolve | None = None,
        deadlines: Deadlines | None = None,
        quiet: float = QUIET,
        gate: Gate | None = None,
        per_host: int = HOST_LIMIT,
    ) -> None:
        self._dialler = Dialler(policy, resolve or SystemResolver(), deadlines or Deadlines())
        self._trust = TrustStore()
        self._gate = gate or Gate()
        self._hosts = Hosts(time.monotonic, quiet, per_host)

    async def smtp(self, endpoint: Endpoint, login: Login | None) -> ProbeReport:
        """Connect, secure, greet, read capabilities, authenticate if asked, and quit."""

        def probe(credentials: Login | None) -> Probe:
            return SmtpProbe(endpoint, credentials, self._dialler, self._trust)

        return await self._limited(endpoint, login, probe)

    async def imap(self, endpoint: Endpoint, login: Login | None, mailbox: str) -> ProbeReport:
        """Connect with TLS, log in, examine the mailbox read-only, and log out."""

        def probe(credentials: Login | None) -> Probe:
            return ImapProbe(endpoint, credentials, mailbox, self._dialler, self._trust)

        return await self._limited(endpoint, login, probe)

    async def envelope(
        self, endpoint: Endpoint, login: Login, senders: Sequence[str], recipient: str
    ) -> EnvelopeReport:
        """Sign in and ask whether each sender may write to the recipient; send nothing."""
        errand = SmtpEnvelope(endpoint, login, senders, recipient, self._dialler, self._trust)
        done = await self._errand(endpoint, login, errand.ask)
        if isinstance(done, ProbeReport):
            return EnvelopeReport(done, dict.fromkeys(senders, _unasked(done)))
        return done

    async def send(self, endpoint: Endpoint, login: Login, message: OutgoingMessage) -> SendReport:
        """Sign in and hand one message over, once."""
        errand = SmtpSending(endpoint, login, message, self._dialler, self._trust)
        done = await self._errand(endpoint, login, errand.send)
        return SendReport(done, _unasked(done)) if isinstance(done, ProbeReport) else done

    async def scan(
        self, endpoint: Endpoint, login: Login, mailbox: str, since: Sequence[Position]
    ) -> ScanReport:
        """Read, without marking, the headers of what arrived since some positions."""
        errand = ImapScan(endpoint, login, mailbox, since, self._dialler, self._trust)
        done = await self._errand(endpoint, login, errand.scan)
        return ScanReport(done) if isinstance(done, ProbeReport) else done

    async def remove(
        self, endpoint: Endpoint, login: Login, removals: Sequence[Removal]
    ) -> RemovalReport:
        """Remove messages of ours, and never any other."""
        errand = ImapRemoval(endpoint, login, removals, self._dialler, self._trust)
        done = await self._errand(endpoint, login, errand.remove)
        return RemovalReport(done) if isinstance(done, ProbeReport) else done

    async def history(
        self, endpoint: Endpoint, login: Login, mailbox: str, since: date
    ) -> HistoryReport:
        """Count what arrived in a mailbox on each day since a date; bounded."""
        errand = ImapHistory(endpoint, login, mailbox, since, self._dialler, self._trust)
        done = await self._errand(endpoint, login, errand.count)
        return HistoryReport(done, complete=False) if isinstance(done, ProbeReport) else done

    async def _limited(
        self, endpoint: Endpoint, login: Login | None, probe: Callable[[Login | None], Probe]
    ) -> ProbeReport:
        """Probe within the limits, without the login where the host has refused too many."""
        host, namespace = self._hosts.of(endpoint.host), endpoint.namespace
        if login is None:
            async with host.turn(namespace), self._gate.place(host.pace, namespace):
                return await probe(None).run()
        # A turn is taken by who may go: waiting for others, or for quiet, is no use of a host. The
        # global gate comes last: who waits for a slow host must not keep others out.
        async with host.signing_in(namespace, login) as attempt:
            async with host.turn(namespace), self._gate.place(host.pace, namespace):
                if attempt.allowed:
                    attempt.report = await probe(login).run()
                    return attempt.report
                report = without_withheld(await probe(None).run(), endpoint, login)
            return _cooling_down(report, endpoint, host.budget(namespace))

    async def _errand(
        self, endpoint: Endpoint, login: Login, perform: Callable[[], Awaitable[Errand]]
    ) -> Errand | ProbeReport:
        """Do what is nothing without its login: where the host has refused too many, not at all.

        In that case returns the report of a session in which nobody signed in.
        """
        host, namespace = self._hosts.of(endpoint.host), endpoint.namespace
        async with host.signing_in(namespace, login) as attempt:
            if not attempt.allowed:
                return _cooling_down(None, endpoint, host.budget(namespace))
            async with host.turn(namespace), self._gate.place(host.pace, namespace):
                done = await perform()
                attempt.report = done.session
                return done


def _unasked(session: ProbeReport) -> Answer:
    return Answer(Acceptance.UNKNOWN, session.reason, session.message)


def _cooling_down(
    report: ProbeReport | None, endpoint: Endpoint, budget: RefusalBudget
) -> ProbeReport:
    """Say that nobody signed in: neither a success nor a refusal.

    `report` is of the connection, None where it was not checked.
    """
    if report is not None and report.stage is not ProbeStage.DONE:
        return report
    pause = ProbeReport(
        ProbeStage.AUTH,
        Reason.HOST_AUTH_COOLDOWN,
        f"Signing in at {endpoint.host} pauses: it has refused too many credentials lately, and "
        "might lock out other accounts.",
        conclusive=False,
        retry_after=timedelta(seconds=max(math.ceil(budget.frees_in), _LEAST_PAUSE)),
    )
    if report is None:
        return pause
    return replace(pause, server=report.server, tls=report.tls)
