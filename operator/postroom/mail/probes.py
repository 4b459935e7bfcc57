# SPDX-License-Identifier: Apache-2.0
"""Probes over the network, with the limits that keep them from harming anyone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.dial import Deadlines, Dialler, Resolve, SystemResolver
from postroom.mail.guard import DialPolicy
from postroom.mail.imap import ImapProbe
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.smtp import SmtpProbe
from postroom.mail.tls import TrustStore

_GLOBAL_LIMIT = 100
_HOST_LIMIT = 3
#: Refusals that one host may answer within the window, over all accounts, before we stop signing
#: in there: servers punish the source address, and with it every other account behind us.
_REFUSALS = 3
_WINDOW = 600.0


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
        self._hosts: dict[str, asyncio.Semaphore] = {}
        self._refusals: dict[str, deque[float]] = {}

    async def smtp(self, endpoint: Endpoint, login: Login | None) -> ProbeReport:
        """Connect, secure, greet, read capabilities, authenticate if asked, and quit."""

        async def probe(credentials: Login | None) -> ProbeReport:
            return await SmtpProbe(endpoint, credentials, self._dialler, self._trust).run()

        return await self._guarded(endpoint, login, probe)

    async def imap(self, endpoint: Endpoint, login: Login | None, mailbox: str) -> ProbeReport:
        """Connect with TLS, log in, examine the mailbox read-only, and log out."""

        async def probe(credentials: Login | None) -> ProbeReport:
            return await ImapProbe(endpoint, credentials, mailbox, self._dialler, self._trust).run()

        return await self._guarded(endpoint, login, probe)

    async def _guarded(
        self,
        endpoint: Endpoint,
        login: Login | None,
        probe: Callable[[Login | None], Awaitable[ProbeReport]],
    ) -> ProbeReport:
        host = self._hosts.setdefault(endpoint.host, asyncio.Semaphore(_HOST_LIMIT))
        async with self._gate, host:
            if login is not None and self._spent(endpoint.host):
                return _cooling_down(await self._bounded(endpoint, None, probe), endpoint)
            report = await self._bounded(endpoint, login, probe)
            if report.authenticated is False:
                self._refusals.setdefault(endpoint.host, deque(maxlen=_REFUSALS)).append(_now())
            return report

    async def _bounded(
        self,
        endpoint: Endpoint,
        login: Login | None,
        probe: Callable[[Login | None], Awaitable[ProbeReport]],
    ) -> ProbeReport:
        try:
            async with asyncio.timeout(self._dialler.deadlines.total):
                return await probe(login)
        except TimeoutError:
            return ProbeReport(
                stage=ProbeStage.CONNECT,
                reason=Reason.CONNECTION_TIMEOUT,
                message=f"{endpoint.host}:{endpoint.port} took too long altogether.",
                conclusive=False,
            )

    def _spent(self, host: str) -> bool:
        """Tell whether the host has refused too often lately."""
        seen = self._refusals.get(host)
        return seen is not None and len(seen) == _REFUSALS and _now() - seen[0] < _WINDOW


def _now() -> float:
    return asyncio.get_running_loop().time()


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
