# SPDX-License-Identifier: Apache-2.0
"""Probes over the network, with the limits that keep them from harming anyone."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail import operations
from postroom.mail.connect.dial import Deadlines, Dialler, Resolve, SystemResolver
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.tls import TrustStore
from postroom.mail.imap import probe as imap
from postroom.mail.imap.history import count_days
from postroom.mail.imap.removal import remove
from postroom.mail.imap.scan import scan
from postroom.mail.limits.hosts import HOST_LIMIT, QUIET, Hosts, RefusalBudget
from postroom.mail.limits.limiter import ProbeLimiter
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.session.echo_filter import without_withheld
from postroom.mail.session.state import Connector
from postroom.mail.smtp import auth as smtp
from postroom.mail.smtp.envelope import ask_senders
from postroom.mail.smtp.sending import send

#: Seconds.
_LEAST_PAUSE = 60

#: (what was done, seconds that it took with all waiting, how far the session came)
Observe = Callable[[str, float, ProbeReport], None]
SignedIn = Callable[[Endpoint, Login], None]
_Perform = Callable[
    [Endpoint, Login, operations.Operation[operations.Report], Connector],
    Awaitable[operations.Report],
]
_OPERATIONS: Mapping[type[operations.Operation[Any]], Callable[..., Awaitable[Any]]] = {
    operations.AskSenders: ask_senders,
    operations.SendMessage: send,
    operations.ScanMailbox: scan,
    operations.RemoveMessages: remove,
    operations.CountDays: count_days,
}


class NetworkProbes:
    """Implements `postroom.reconcile.world.MailProbes`.

    `resolve` finds the addresses of hosts; None asks the system. `quiet` is for how many seconds
    nobody signs in where somebody was refused; `limiter` bounds what is under way over all hosts,
    and `per_host` what one namespace has under way at one.
    """

    def __init__(
        self,
        policy: DialPolicy,
        resolve: Resolve | None = None,
        deadlines: Deadlines | None = None,
        quiet: float = QUIET,
        limiter: ProbeLimiter | None = None,
        per_host: int = HOST_LIMIT,
        trust: TrustStore | None = None,
    ) -> None:
        dialler = Dialler(policy, resolve or SystemResolver(), deadlines or Deadlines())
        self._connector = Connector(dialler, trust or TrustStore())
        #: Told of every session.
        self.observe: Observe = lambda kind, seconds, report: None
        #: Told of every login that was sent.
        self.signed_in: SignedIn = lambda endpoint, login: None
        self._limiter = limiter or ProbeLimiter()
        self._hosts = Hosts(time.monotonic, quiet, per_host)

    async def probe(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None = None
    ) -> ProbeReport:
        """See `postroom.reconcile.world.MailProbes`."""
        begun = time.monotonic()
        report = await self._probe(endpoint, login, mailbox)
        kind = "smtp" if mailbox is None else "imap"
        self.observe(kind, time.monotonic() - begun, report)
        return report

    async def perform(
        self, endpoint: Endpoint, login: Login, operation: operations.Operation[operations.Report]
    ) -> operations.Report:
        """See `postroom.reconcile.world.MailProbes`.

        Where the host has refused too many, not at all: it is nothing without its login.
        """
        begun = time.monotonic()
        host, namespace = self._hosts.of(endpoint.host), endpoint.namespace
        async with host.signing_in(namespace, login) as attempt:
            if attempt.allowed:
                async with host.slot(namespace), self._limiter.slot(host.speed, namespace):
                    perform = cast("_Perform[operations.Report]", _OPERATIONS[type(operation)])
                    done = await perform(endpoint, login, operation, self._connector)
                    attempt.report = done.session
                    self._note_login(endpoint, login, done.session)
            else:
                pause = _cooling_down(None, endpoint, host.budget(namespace))
                done = operation.not_done(pause)
        self.observe(operation.kind, time.monotonic() - begun, done.session)
        return done

    async def _probe(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None
    ) -> ProbeReport:
        """Probe within the limits, without the login where the host has refused too many."""
        host, namespace = self._hosts.of(endpoint.host), endpoint.namespace
        if login is None:
            async with host.slot(namespace), self._limiter.slot(host.speed, namespace):
                return await self._check(endpoint, None, mailbox)
        # A slot is taken by who may go: waiting for others, or for quiet, is no use of a host. The
        # global limiter comes last: who waits for a slow host must not keep others out.
        async with host.signing_in(namespace, login) as attempt:
            async with host.slot(namespace), self._limiter.slot(host.speed, namespace):
                if attempt.allowed:
                    attempt.report = await self._check(endpoint, login, mailbox)
                    self._note_login(endpoint, login, attempt.report)
                    return attempt.report
                report = await self._check(endpoint, None, mailbox)
            shown = without_withheld(report, endpoint, login)
            return _cooling_down(shown, endpoint, host.budget(namespace))

    def _note_login(self, endpoint: Endpoint, login: Login, report: ProbeReport) -> None:
        if report.authenticated or report.stage is ProbeStage.AUTH:
            self.signed_in(endpoint, login)

    async def _check(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None
    ) -> ProbeReport:
        if mailbox is None:
            return await smtp.check(endpoint, login, self._connector)
        return await imap.check(endpoint, login, mailbox, self._connector)


def _cooling_down(
    report: ProbeReport | None, endpoint: Endpoint, budget: RefusalBudget
) -> ProbeReport:
    """The report that nobody signed in: neither a success nor a refusal.

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
