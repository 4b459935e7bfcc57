# SPDX-License-Identifier: Apache-2.0
"""Probes over the network, with the limits that keep them from harming anyone."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar, cast

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.concurrency.shards import WHOLE, Shard
from postroom.concurrency.slots import KeyedSlots
from postroom.mail import operations
from postroom.mail.connect.dial import Deadlines, Dialler, Failure, Resolve, SystemResolver
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.tls import TrustStore
from postroom.mail.imap import auth as imap_auth
from postroom.mail.imap import probe as imap
from postroom.mail.imap.history import count_days
from postroom.mail.imap.reading import MailboxReader
from postroom.mail.imap.removal import remove
from postroom.mail.imap.scan import scan
from postroom.mail.imap.session import ImapSession
from postroom.mail.limits.hosts import HOST_LIMIT, QUIET, Host, Hosts, RefusalBudget
from postroom.mail.limits.limiter import ProbeLimiter
from postroom.mail.presets.mailboxes import login_of
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.session.echo_filter import without_withheld
from postroom.mail.session.state import Connector, cooling_down
from postroom.mail.smtp import auth as smtp
from postroom.mail.smtp.envelope import ask_senders
from postroom.mail.smtp.sending import send

ResultT = TypeVar("ResultT")

#: Lasting sessions of one login at one host: servers take four, ten or fifteen of a login, and
#: people and probes sign in beside them.
_SESSIONS = 2
#: Seconds for which a session waits for the one before it to end.
_HANDOVER = 5.0
#: Until a refused login is sent again to read by: a look at the mailbox finds out before.
_AFTER_REFUSAL = timedelta(minutes=15)

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
    and `per_host` what one namespace has under way at one; what a host bears of all together is
    divided among the shards.
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
        shard: Shard = WHOLE,
    ) -> None:
        dialler = Dialler(
            policy,
            resolve or SystemResolver(cluster_domains=policy.cluster_domains),
            deadlines or Deadlines(),
        )
        self._connector = Connector(dialler, trust or TrustStore())
        #: Told of every session.
        self.observe: Observe = lambda kind, seconds, report: None
        #: Told of every login that was sent.
        self.signed_in: SignedIn = lambda endpoint, login: None
        self._limiter = limiter or ProbeLimiter()
        self._hosts = Hosts(time.monotonic, quiet, per_host, shard)
        # By one party each, to whom half of the slots is given.
        self._lasting: KeyedSlots[tuple[str, str, str]] = KeyedSlots(2 * _SESSIONS, _SESSIONS)

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
                perform = cast("_Perform[operations.Report]", _OPERATIONS[type(operation)])
                async with host.slot(namespace):
                    done = await self._limited(
                        host, namespace, lambda out: perform(endpoint, login, operation, out)
                    )
                    attempt.report = done.session
                    self._note_login(endpoint, login, done.session)
            else:
                pause = _cooling_down(None, endpoint, host.budget(namespace))
                done = operation.not_done(pause)
        self.observe(operation.kind, time.monotonic() - begun, done.session)
        return done

    @asynccontextmanager
    async def reading(self, endpoint: Endpoint, login: Login) -> AsyncIterator[MailboxReader]:
        """A session over IMAP that lasts as long as it is used; raises `Failure`.

        Signing in counts as it does for a look at the mailbox; afterwards the session takes no slot
        of its host. Providers bound the sessions of a login, so that one has few of those.
        """
        namespace, name = endpoint.namespace, endpoint.host
        # Whoever has a tag in the username may be somebody else, who would be kept out for ever.
        whose = (namespace, login.username.lower(), login_of(login.username, name)[1])
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._lasting.slot(whose, namespace, _HANDOVER))
            except TimeoutError:
                raise Failure(
                    ProbeStage.RESOLVE,
                    Reason.SERVER_THROTTLED,
                    f"The username already reads over {_SESSIONS} sessions at {name}, which bounds "
                    "them:",
                    conclusive=False,
                    fix="give each account a login of its own.",
                ) from None
            host = self._hosts.of(name)
            async with host.signing_in(namespace, login) as attempt:
                if not attempt.allowed:
                    raise _failure_of(_cooling_down(None, endpoint, host.budget(namespace)))
                begun = time.monotonic()
                async with host.slot(namespace):
                    session, report = await self._limited(
                        host, namespace, lambda out: _begun(endpoint, login, out, stack)
                    )
                attempt.report = report
                self._note_login(endpoint, login, report)
                self.observe("reading", time.monotonic() - begun, report)
            if session is None:
                raise _failure_of(report)
            session.protocol.keep_alive()
            reader = MailboxReader(session)
            await reader.introduce()
            yield reader

    async def _probe(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None
    ) -> ProbeReport:
        """Probe within the limits, without the login where the host has refused too many."""
        host, namespace = self._hosts.of(endpoint.host), endpoint.namespace
        if login is None:
            async with host.slot(namespace):
                return await self._check(host, endpoint, None, mailbox)
        # A slot is taken by who may go: waiting for others, or for quiet, is no use of a host. The
        # global limiter comes last: who waits for a slow host must not keep others out.
        async with host.signing_in(namespace, login) as attempt:
            async with host.slot(namespace):
                if attempt.allowed:
                    attempt.report = await self._check(host, endpoint, login, mailbox)
                    self._note_login(endpoint, login, attempt.report)
                    return attempt.report
                report = await self._check(host, endpoint, None, mailbox)
            shown = without_withheld(report, endpoint, login)
            return _cooling_down(shown, endpoint, host.budget(namespace))

    def _note_login(self, endpoint: Endpoint, login: Login, report: ProbeReport) -> None:
        asked = report.stage is ProbeStage.AUTH and report.reason is not Reason.HOST_AUTH_COOLDOWN
        if report.authenticated or asked:
            self.signed_in(endpoint, login)

    async def _check(
        self, host: Host, endpoint: Endpoint, login: Login | None, mailbox: str | None
    ) -> ProbeReport:
        def look(out: Connector) -> Awaitable[ProbeReport]:
            if mailbox is None:
                return smtp.check(endpoint, login, out)
            return imap.check(endpoint, login, mailbox, out)

        return await self._limited(host, endpoint.namespace, look)

    async def _limited(
        self, host: Host, namespace: str, probe: Callable[[Connector], Awaitable[ResultT]]
    ) -> ResultT:
        """Run a probe as the limiter lets it, which may begin it anew before it sends a login."""
        return await self._limiter.run(
            host.speed,
            namespace,
            lambda before_login: probe(replace(self._connector, before_login=before_login)),
        )


async def _begun(
    endpoint: Endpoint, login: Login, connector: Connector, stack: AsyncExitStack
) -> tuple[ImapSession | None, ProbeReport]:
    """Begin a session that ends with the stack, None where it does not come to that."""
    state = imap_auth.state_of(endpoint, login, connector)
    session = None
    async with state.reported():
        session = await stack.enter_async_context(imap_auth.signed_in(state))
    return session, state.report()


def _cooling_down(
    report: ProbeReport | None, endpoint: Endpoint, budget: RefusalBudget
) -> ProbeReport:
    """The report that nobody signed in: neither a success nor a refusal.

    `report` is of the connection, None where it was not checked.
    """
    if report is not None and report.stage is not ProbeStage.DONE:
        return report
    end = cooling_down(endpoint.host, budget.frees_in)
    pause = ProbeReport(
        end.stage, end.reason, end.wrong, end.conclusive, retry_after=end.retry_after
    )
    if report is None:
        return pause
    return replace(pause, server=report.server, tls=report.tls)


def _failure_of(report: ProbeReport) -> Failure:
    """The end of a session that did not begin.

    What was refused is not tried again soon: servers lock accounts for that.
    """
    pause = report.retry_after
    if report.authenticated is False:
        pause = max(pause or _AFTER_REFUSAL, _AFTER_REFUSAL)
    return Failure(
        report.stage,
        report.reason,
        report.wrong,
        conclusive=report.conclusive,
        retry_after=pause,
        cause=report.cause,
        fix=report.fix,
    )
