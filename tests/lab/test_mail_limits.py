# SPDX-License-Identifier: Apache-2.0
"""What reaches a server that refuses or throttles, counted at the server itself.

Covers, with the engine on real sockets: credentials that are refused, through time and restarts; a
server that wants to be left alone; the budget of a host over all its accounts, errands included;
and what is told meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date, timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from lab.hostile import Answers, Hostile, Step, answer, imap_until_login, judge, smtp_until_auth
from lab.mail_probing import (
    AUTHORITY,
    HOST,
    LOGIN,
    context,
    endpoint,
    nothing_leaks,  # noqa: F401 - a fixture
    probes,
)
from postroom.api.conditions import ConditionType
from postroom.api.mailserver import TLSMode
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Deadlines
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.limits.hosts import REFUSALS, WINDOW
from postroom.mail.operations import (
    Acceptance,
    AskSenders,
    CountDays,
    OutgoingMessage,
    RemoveMessages,
    ScanMailbox,
    SendMessage,
)
from postroom.mail.probes import NetworkProbes
from unit.reconcile.mail_worlds import NAMESPACE, SERVER, MailWorld, verdict

MINUTE = timedelta(minutes=1)
IN, READY = ConditionType.SMTP_AUTHENTICATED, ConditionType.READY
GOOD = "\0user\0good"


def after_ehlo(refusal: bytes) -> tuple[Step, ...]:
    """Greet, and take the password "good" alone."""
    said: dict[bytes, list[Step]] = {
        b"AUTH": [judge(GOOD, b"235 2.7.0 in\r\n", refusal)],
        b"QUIT": [b"221 bye\r\n"],
    }
    return smtp_until_auth(b"AUTH PLAIN", after=(Answers(said, until=b"QUIT"),))


def logins(server: Hostile) -> int:
    """How many logins have come since the last call."""
    count = sum(one.upper().startswith(b"AUTH") for one in server.received)
    server.received.clear()
    return count


class Office(MailWorld):
    """A MailServer at a real port, and accounts behind it."""

    def __init__(self, server: Hostile) -> None:
        super().__init__()
        self.server = server
        self.probes = probes(server.port)  # type: ignore[assignment]
        self.add_secret("ca", ca_crt=AUTHORITY.cert_pem.bytes().decode())
        bundle = {"kind": "Secret", "name": "ca", "key": "ca.crt"}
        tls = {"mode": "Implicit", "caBundleRef": bundle}
        self.add(SERVER, host=HOST, port=server.port, tls=tls)

    async def account(self, name: str, password: str, **spec: Any) -> Key:
        """Add an account."""
        await self.look(SERVER)
        self.add_secret(name, username="user", password=password)
        key = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, name)
        ref = {"serverRef": {"name": SERVER.name}, "credentialsRef": {"name": name}}
        self.add(key, address=f"{name}@example.com", **ref, **spec)
        logins(self.server)
        return key

    def restart(self) -> None:
        """Forget all that only a process remembers."""
        self._memories.clear()


@pytest.fixture
async def refusing() -> AsyncIterator[Hostile]:
    steps = after_ehlo(b"535 5.7.8 no\r\n")
    async with Hostile(*steps, context=context(), implicit=True) as server:
        yield server


async def test_a_server_sees_refused_credentials_twice(refusing: Hostile) -> None:
    office = Office(refusing)
    account = await office.account("wrong", "bad")
    assert verdict(await office.look(account), IN) == ("False", "AuthenticationRejected")
    office.restart()
    for _ in range(5):
        await office.look(account, 5 * MINUTE)
    assert logins(refusing) == 1
    connections = refusing.connections
    for _ in range(4):
        office.restart()
        await office.look(account, 31 * MINUTE)
        await office.look(account, 31 * MINUTE)
    assert logins(refusing) == 1
    assert refusing.connections >= connections + 8, "the connection is checked all the same"


async def test_a_spent_budget_takes_nothing_from_other_accounts(refusing: Hostile) -> None:
    office = Office(refusing)
    verified = await office.account("verified", "good")
    assert verdict(await office.look(verified), READY) == ("True", "Succeeded")
    for number in range(REFUSALS):
        await office.look(await office.account(f"wrong{number}", "bad"))
    newcomer = await office.account("newcomer", "good")
    connections = refusing.connections
    assert verdict(await office.look(newcomer), IN) == ("Unknown", "HostAuthCooldown")
    assert verdict(await office.look(verified), READY) == ("True", "Succeeded")
    assert logins(refusing) == 0
    assert refusing.connections == connections + 2
    assert verdict(await office.look(SERVER), READY) == ("True", "Succeeded")


async def test_a_cooldown_tells_its_end(refusing: Hostile) -> None:
    asking, where = probes(refusing.port), endpoint(refusing.port, TLSMode.IMPLICIT)
    for _ in range(REFUSALS):
        await asking.probe(where, LOGIN)
    report = await asking.probe(where, LOGIN)
    assert report.reason is Reason.HOST_AUTH_COOLDOWN
    assert report.retry_after is not None
    assert WINDOW - 60 < report.retry_after.total_seconds() <= WINDOW
    assert report.tls is not None


MESSAGE = OutgoingMessage("user@example.com", "user@example.com", b"Subject: x\r\n\r\nx\r\n")


async def test_errands_count_and_are_not_begun_in_a_cooldown(refusing: Hostile) -> None:
    asking, where = probes(refusing.port), endpoint(refusing.port, TLSMode.IMPLICIT)
    senders = ["user@example.com", "alias@example.com"]
    assert (await asking.probe(where, LOGIN)).reason is Reason.AUTHENTICATION_REJECTED
    refused = await asking.perform(where, LOGIN, AskSenders(senders, senders[0]))
    assert refused.session.authenticated is False
    assert (await asking.perform(where, LOGIN, SendMessage(MESSAGE))).session.authenticated is False
    connections = refusing.connections
    asked = await asking.perform(where, LOGIN, AskSenders(senders, senders[0]))
    sent = await asking.perform(where, LOGIN, SendMessage(MESSAGE))
    assert refusing.connections == connections == REFUSALS
    assert list(asked.answers) == senders
    for one in (*asked.answers.values(), sent.answer):
        assert (one.acceptance, one.reason) == (
            Acceptance.UNKNOWN,
            Reason.HOST_AUTH_COOLDOWN,
        )


async def test_errands_over_imap_count_too() -> None:
    refusal = answer(b"NO [AUTHENTICATIONFAILED] no")
    steps = imap_until_login(b"AUTH=PLAIN", after=("read", refusal))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        asking, where = probes(server.port), endpoint(server.port, TLSMode.IMPLICIT)
        since = date(2026, 1, 1)
        sessions = [
            (await asking.perform(where, LOGIN, ScanMailbox("INBOX", ()))).session,
            (await asking.perform(where, LOGIN, RemoveMessages(()))).session,
            (await asking.perform(where, LOGIN, CountDays("INBOX", since))).session,
        ]
        assert [session.authenticated for session in sessions] == [False] * REFUSALS
        scan = await asking.perform(where, LOGIN, ScanMailbox("INBOX", ()))
        removal = await asking.perform(where, LOGIN, RemoveMessages(()))
        history = await asking.perform(where, LOGIN, CountDays("INBOX", since))
        assert server.connections == REFUSALS
    for one in (scan, removal, history):
        assert one.session.reason is Reason.HOST_AUTH_COOLDOWN
    assert not history.complete


@pytest.mark.parametrize(
    "steps", [(b"421 4.3.2 too busy\r\n",), after_ehlo(b"454 4.7.0 too many login attempts\r\n")]
)
async def test_a_server_that_wants_quiet_gets_it(steps: tuple[Step, ...]) -> None:
    async with Hostile(*after_ehlo(b""), context=context(), implicit=True) as server:
        office = Office(server)
        account = await office.account("any", "bad")
        server._steps = steps
        await office.look(account, MINUTE)
        connections = server.connections
        for _ in range(14):
            await office.look(account, MINUTE)
        assert server.connections == connections
        await office.look(account, 46 * MINUTE)
        assert server.connections == connections + 1


async def test_a_wait_of_the_catalogue_outlasts_requests() -> None:
    steps = after_ehlo(b"454 4.7.0 too many login attempts\r\n")
    async with Hostile(*steps, context=context(), implicit=True) as server:
        office = Office(server)
        account = await office.account("any", "bad")
        await office.look(account, MINUTE)
        office.add_secret("any", version="2", username="user", password="good")
        await office.look(account, 58 * MINUTE)
        assert logins(server) == 1
        await office.look(SERVER, MINUTE)
        assert verdict(await office.look(account, 2 * MINUTE), READY) == ("True", "Succeeded")


async def test_the_words_of_a_server_name_the_wait() -> None:
    words = b"BAD Request is throttled. Suggested Backoff Time: 7200000 milliseconds"
    steps = imap_until_login(b"AUTH=PLAIN", after=("read", answer(words)))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        where = endpoint(server.port, TLSMode.IMPLICIT)
        report = await probes(server.port).probe(where, LOGIN, "INBOX")
    assert (report.retry_after, report.cause) == (120 * MINUTE, "ServerThrottled")


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 50])
async def test_a_server_sees_as_many_connections_as_the_setting_says(limit: int) -> None:
    """`--probes-per-target`, for one namespace; each waits until as many are there as may be."""
    now = most = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read()
        now -= 1
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        async def resolve(host: str) -> tuple[str, ...]:
            return ("127.0.0.1",)

        policy = DialPolicy((ip_network("127.0.0.0/8"),), frozenset({port}))
        asking = NetworkProbes(policy, resolve, Deadlines(), per_host=limit)
        where = endpoint(port)
        number = min(2 * limit, limit + 5)
        await asyncio.gather(*(asking.probe(where, None) for _ in range(number)))
    assert most == limit
