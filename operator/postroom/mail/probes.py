# SPDX-License-Identifier: Apache-2.0
"""Probes over the network, with the limits that keep them from harming anyone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.dial import Deadlines, Dialler, Resolve, SystemResolver
from postroom.mail.guard import DialPolicy
from postroom.mail.imap import ImapProbe
from postroom.mail.limits import Hosts, was_refused
from postroom.mail.probe import Probe
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.smtp import SmtpProbe
from postroom.mail.tls import TrustStore

#: Probes at a time, over all hosts.
_GLOBAL_LIMIT = 100


class NetworkProbes:
    """Implements `postroom.reconcile.world.MailProbes`.

    `resolve` finds the addresses of hosts; None asks the system.
    """

    def __init__(
        self,
        policy: DialPolicy,
        resolve: Resolve | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        self._dialler = Dialler(policy, resolve or SystemResolver(), deadlines or Deadlines())
        self._trust = TrustStore()
        self._gate = asyncio.Semaphore(_GLOBAL_LIMIT)
        self._hosts = Hosts(time.monotonic)

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

    async def _limited(
        self, endpoint: Endpoint, login: Login | None, probe: Callable[[Login | None], Probe]
    ) -> ProbeReport:
        """Probe within the limits, without the login where the host has refused too many."""
        host = self._hosts.of(endpoint.host)
        # The global gate comes last: who waits for a slow host must not keep others out.
        async with host.turn():
            if login is None or not await host.budget.reserve():
                async with self._gate:
                    report = await probe(None).run()
                return report if login is None else _cooling_down(report, endpoint)
            done: ProbeReport | None = None
            try:
                async with self._gate:
                    done = await probe(login).run()
                return done
            finally:
                host.budget.settle(refused=was_refused(done))


def _cooling_down(report: ProbeReport, endpoint: Endpoint) -> ProbeReport:
    """The connection was checked, signing in was not: neither a success nor a refusal."""
    if report.stage is not ProbeStage.DONE:
        return report
    return replace(
        report,
        stage=ProbeStage.AUTH,
        reason=Reason.NOT_ATTEMPTED,
        message=f"Signing in at {endpoint.host} pauses: it has refused too many credentials "
        "lately, and might lock out other accounts.",
        conclusive=False,
    )
