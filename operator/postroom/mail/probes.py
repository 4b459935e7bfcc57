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
from postroom.mail.dial import Deadlines, Dialler, Resolve, SystemResolver
from postroom.mail.errands import (
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
from postroom.mail.gate import Gate
from postroom.mail.guard import DialPolicy
from postroom.mail.imap import ImapProbe
from postroom.mail.imap_history import ImapHistory
from postroom.mail.imap_removal import ImapRemoval
from postroom.mail.imap_scan import ImapScan
from postroom.mail.limits import (
    QUIET,
    Host,
    Hosts,
    RefusalBudget,
    holds_refusals_against_all,
    is_resentful,
    was_refused,
)
from postroom.mail.probe import Probe
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.smtp import SmtpProbe
from postroom.mail.smtp_envelope import SmtpEnvelope
from postroom.mail.smtp_sending import SmtpSending
from postroom.mail.tls import TrustStore

Done = TypeVar("Done")
Errand = TypeVar("Errand", EnvelopeReport, SendReport, ScanReport, RemovalReport, HistoryReport)


class NetworkProbes:
    """Implements `postroom.reconcile.world.MailProbes`.

    `resolve` finds the addresses of hosts; None asks the system. `quiet` is for how many seconds
    nobody signs in where somebody was refused; `gate` bounds what is under way over all hosts.
    """

    def __init__(
        self,
        policy: DialPolicy,
        resolve: Resolve | None = None,
        deadlines: Deadlines | None = None,
        quiet: float = QUIET,
        gate: Gate | None = None,
    ) -> None:
        self._dialler = Dialler(policy, resolve or SystemResolver(), deadlines or Deadlines())
        self._trust = TrustStore()
        self._gate = gate or Gate()
        self._hosts = Hosts(time.monotonic, quiet)

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
        host = self._hosts.of(endpoint.host)
        # The global gate comes last: who waits for a slow host must not keep others out.
        async with host.turn():
            if login is None or not await _reserved(host, endpoint, login):
                async with self._gate.place(host.pace):
                    report = await probe(None).run()
                return report if login is None else _cooling_down(report, endpoint, host.budget)
            return await self._signed_in(host, login, probe(login).run, lambda done: done)

    async def _errand(
        self, endpoint: Endpoint, login: Login, perform: Callable[[], Awaitable[Errand]]
    ) -> Errand | ProbeReport:
        """Do what is nothing without its login: where the host has refused too many, not at all.

        In that case returns the report of a session in which nobody signed in.
        """
        host = self._hosts.of(endpoint.host)
        async with host.turn():
            if not await _reserved(host, endpoint, login):
                return _cooling_down(None, endpoint, host.budget)
            return await self._signed_in(host, login, perform, lambda done: done.session)

    async def _signed_in(
        self,
        host: Host,
        login: Login,
        perform: Callable[[], Awaitable[Done]],
        session: Callable[[Done], ProbeReport],
    ) -> Done:
        """Do something with the login that was reserved for it; `session` tells how that went."""
        report: ProbeReport | None = None
        try:
            async with self._gate.place(host.pace):
                done = await perform()
            report = session(done)
            host.proven.note(login, report)
            return done
        finally:
            host.budget.settle(refused=was_refused(report), resentful=is_resentful(report))


async def _reserved(host: Host, endpoint: Endpoint, login: Login) -> bool:
    """Tell whether a login may be tried now.

    One that was never accepted goes alone, so that its refusal is held against nobody beside it;
    at the large providers, who know accounts apart, nobody waits for that.
    """
    alone = login not in host.proven and holds_refusals_against_all(endpoint.host)
    return await host.budget.reserve(alone=alone)


def _unasked(session: ProbeReport) -> Answer:
    return Answer(Acceptance.UNKNOWN, session.reason, session.message)


def _cooling_down(
    report: ProbeReport | None, endpoint: Endpoint, budget: RefusalBudget
) -> ProbeReport:
    """Say that nobody signed in: neither a success nor a refusal.

    `report` is of the connection, None where it was not checked.
    """
    if report is not None and report.stage is not ProbeStage.DONE:
        # Without the login nobody could tell whether the server repeats it.
        return replace(report, server_text=None)
    pause = ProbeReport(
        ProbeStage.AUTH,
        Reason.HOST_AUTH_COOLDOWN,
        f"Signing in at {endpoint.host} pauses: it has refused too many credentials lately, and "
        "might lock out other accounts.",
        conclusive=False,
        retry_after=timedelta(seconds=math.ceil(budget.frees_in)),
    )
    if report is None:
        return pause
    return replace(pause, server=report.server, tls=report.tls)
