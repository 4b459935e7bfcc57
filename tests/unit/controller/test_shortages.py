# SPDX-License-Identifier: Apache-2.0
"""At every seam to the world, whatever this process is short of: what is told is about us, and no
verdict on a server, a zone or a bundle."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from copy import copy
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import aiohttp
import aiosmtplib
import pytest

from postroom.api.conditions import ConditionStatus, ConditionType
from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.concurrency import public_trust
from postroom.concurrency.shortage import Shortage
from postroom.concurrency.threads import to_its_end
from postroom.controller.policy_fetch import HttpsPolicyFetcher
from postroom.delivery.sinks.http import Destination, HttpSink
from postroom.delivery.spool import Spool
from postroom.dns.answers import Question, RecordType
from postroom.dns.asking import retrying
from postroom.dns.asking.exchange import Exchange, Server
from postroom.dns.asking.health import Health
from postroom.dns.asking.https import HttpsClient, HttpsServer
from postroom.dns.asking.limiter import QueryLimiters
from postroom.dns.asking.sockets import SocketTransport
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.asking.wire import View
from postroom.mail.connect import dial, tls
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.identities.asking import BearerExchange
from postroom.mail.oauth.exchange import HttpsExchange
from postroom.mail.oauth.grant import Form
from postroom.mail.report import Endpoint, ProbeReport
from postroom.mail.session.state import Connector, SessionState
from postroom.reconcile.signing_in.probing import SMTP, verdicts_of
from unit.concurrency.test_shortage import WANTS
from unit.reconcile.mail_worlds import SERVER
from unit.reconcile.test_engine import Failing

Patch = pytest.MonkeyPatch
#: Returns what is told of a want that is met there.
Seam = Callable[[BaseException, Patch], Awaitable[str]]
PORT = 2525
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
MAIL = Endpoint("mail.example.com", PORT, TLSMode.NONE, "mail.example.com", None, "mail")
TOLD = {"specversion": "1.0", "id": "1", "type": "t", "source": "s"}
QUESTION = Question("x.example", RecordType.TXT)
SYSTEM = {name: want for name, want in WANTS.items() if isinstance(want, OSError)}
SYSTEM = {name: want for name, want in SYSTEM.items() if not isinstance(want, ssl.SSLError)}
SOCKETS = {name: want for name, want in SYSTEM.items() if not isinstance(want, socket.gaierror)}
MEMORY = {"MemoryError": WANTS["MemoryError"]}
THREADS = {"threads": WANTS["threads"]}


def raising(error: BaseException) -> Callable[..., Any]:
    def fails(*_: Any, **__: Any) -> Any:
        raise copy(error)

    return fails


async def here(host: str) -> tuple[str, ...] | None:
    return ("127.0.0.1",)


def dialler(resolve: dial.Resolve = here) -> dial.Dialler:
    return dial.Dialler(DialPolicy(LOOPBACK, frozenset({PORT})), resolve, dial.Deadlines(tls=1))


def state(resolve: dial.Resolve = here) -> SessionState:
    made = SessionState(MAIL, None, Connector(dialler(resolve), tls.TrustStore()), "use 465")
    made.stage = ProbeStage.TLS
    return made


def no_verdict(report: ProbeReport) -> str:
    """The sentence of a report that says nothing of the server."""
    assert (report.reason, report.conclusive) == (Reason.RESOURCES_EXHAUSTED, False)
    for verdict in verdicts_of(report, SMTP, tls=True, auth=True):
        assert verdict.type is ConditionType.TARGET_ALLOWED or (
            verdict.status is ConditionStatus.UNKNOWN
        )
        assert verdict.status is not ConditionStatus.FALSE
    return report.message


def no_answer(answer: object) -> str:
    assert isinstance(answer, NoAnswer) and not answer.denied
    return answer.sentence


async def report_of(failing: Awaitable[Any]) -> ProbeReport:
    made = state()
    async with made.reported():
        await failing
    return made.report()


# -- DNS -------------------------------------------------------------------------------------------


async def asked(transport: object, server: Server, https: HttpsClient | None = None) -> str:
    """Ask a server, of whose health nothing is learnt."""
    health: Health[Server] = Health(0.02, 0.03)
    exchange = Exchange(transport, https or HttpsClient(), health)  # type: ignore[arg-type]
    timing = retrying.Timing(question=0.5, look=1.0)
    client = retrying.RetryingClient(exchange, health, QueryLimiters(), timing)
    with pytest.raises(Shortage) as caught:
        await client.ask([server], QUESTION, View.RESOLVER, lambda heard: True)
    assert not health.is_doubtful(server) and not health.is_dead(server)
    return caught.value.sentence


async def dns_over_udp(want: BaseException, patch: Patch) -> str:
    patch.setattr("postroom.dns.asking.sockets._Socket", raising(want))
    return await asked(SocketTransport(), ServerAddress("127.0.0.1", 9))


async def dns_over_tcp(want: BaseException, patch: Patch) -> str:
    class Truncating:
        async def udp(self, server: object, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
            return query[:2] + b"\x82\x00" + query[4:]

        async def tcp(self, *_: object) -> bytes:
            raise copy(want)

    return await asked(Truncating(), ServerAddress("127.0.0.1", 9))


async def dns_over_https(want: BaseException, patch: Patch) -> str:
    https = HttpsClient()
    patch.setattr(https, "_post", raising(wrapped(want)))
    return await asked(SocketTransport(), HttpsServer("https://dns.example/"), https)


async def authorities_of_a_resolver(want: BaseException, patch: Patch) -> str:
    patch.setattr(public_trust, "client_context", raising(want))
    return await asked(SocketTransport(), HttpsServer("https://127.0.0.1:9/"))


# -- names, connections ----------------------------------------------------------------------------


async def looking_up(want: BaseException, patch: Patch) -> str:
    patch.setattr("socket.getaddrinfo", raising(want))
    return no_verdict(await report_of(dialler(dial.SystemResolver()).dial(MAIL)))


async def a_thread_to_look_up(want: BaseException, patch: Patch) -> str:
    patch.setattr(threading.Thread, "start", raising(want))
    return no_verdict(await report_of(dialler(dial.SystemResolver()).dial(MAIL)))


async def connecting(want: BaseException, patch: Patch) -> str:
    patch.setattr("postroom.mail.connect.dial.socket.socket", raising(want))
    return no_verdict(await report_of(dialler().dial(MAIL)))


async def one_address_of_two(want: BaseException, patch: Patch) -> str:
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "no")
    failure = dial.unreachable([refused, copy(want)], "mail.example.com:25")
    assert not failure.conclusive
    return failure.message


async def in_the_handshake(want: BaseException, patch: Patch) -> str:
    ended = aiosmtplib.SMTPConnectError("no")
    ended.__cause__ = copy(want)

    async def fails() -> None:
        raise await state().tls_failure(ended.__cause__ or ended)

    return no_verdict(await report_of(fails()))


async def between_commands(want: BaseException, patch: Patch) -> str:
    ended = aiosmtplib.SMTPServerDisconnected("no")
    ended.__cause__ = copy(want)

    async def fails() -> None:
        raise await state().gone(ended)

    return no_verdict(await report_of(fails()))


async def at_a_second_sight(want: BaseException, patch: Patch) -> str:
    """A handshake failed for the server's sake, but why cannot be seen."""
    patch.setattr("postroom.mail.connect.dial.socket.socket", raising(want))

    async def fails() -> None:
        raise await state().tls_failure(ssl.SSLError(1, "handshake failure"))

    return no_verdict(await report_of(fails()))


# -- trust, threads --------------------------------------------------------------------------------


async def reading_a_bundle(want: BaseException, patch: Patch) -> str:
    patch.setattr(tls, "client_context", raising(want))
    trust = tls.TrustStore()
    bundle = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    return no_verdict(await report_of(trust.context(bundle)))


async def public_authorities(want: BaseException, patch: Patch) -> str:
    """OpenSSL passes over a file that it cannot open: nobody would be trusted from then on."""

    class Empty(ssl.SSLContext):
        load_verify_locations = raising(want)

        def load_default_certs(self, *_: object) -> None:
            """Pass over all."""

    patch.setattr(public_trust, "client_context", lambda: Empty(ssl.PROTOCOL_TLS_CLIENT))
    known = SimpleNamespace(cafile="/etc/authorities.pem", capath=None)
    patch.setattr("ssl.get_default_verify_paths", lambda: known)
    trust = tls.TrustStore()
    told = no_verdict(await report_of(trust.context(None)))
    patch.undo()
    again = await trust.context(None)
    assert not isinstance(again, Empty), "a context that trusts nobody is not kept"
    return told


async def a_thread_to_compute(want: BaseException, patch: Patch) -> str:
    patch.setattr(threading.Thread, "start", raising(want))
    with pytest.raises(Shortage) as caught:
        await to_its_end(lambda: 1)
    patch.undo()
    assert await to_its_end(lambda: 2) == 2
    return caught.value.sentence


# -- HTTPS -----------------------------------------------------------------------------------------


def wrapped(want: BaseException) -> BaseException:
    key = SimpleNamespace(host="h", port=443, ssl=True, is_ssl=True)
    known = isinstance(want, OSError)
    return aiohttp.ClientConnectorError(key, want) if known else want  # type: ignore[arg-type]


async def asking_for_a_token(want: BaseException, patch: Patch) -> str:
    patch.setattr("postroom.mail.oauth.exchange.pinned_session", raising(wrapped(want)))
    exchange = HttpsExchange(DialPolicy(LOOPBACK), here)
    form = Form({}, {})
    url = "https://oauth2.example.com/token"
    return no_answer(await exchange.post(url, form, namespace="mail", ca_bundle=None))


async def asking_for_identities(want: BaseException, patch: Patch) -> str:
    patch.setattr("postroom.mail.identities.asking.pinned_session", raising(wrapped(want)))
    apis = BearerExchange(DialPolicy(LOOPBACK), here)
    return no_answer(await apis.get("https://graph.example.com/v1.0/me", Masked("t")))


async def fetching_a_policy(want: BaseException, patch: Patch) -> str:
    patch.setattr("postroom.controller.policy_fetch.pinned_session", raising(wrapped(want)))
    fetcher = HttpsPolicyFetcher(DialPolicy(LOOPBACK), here)
    with pytest.raises(Shortage) as caught:
        await fetcher.fetch("example.com")
    patch.undo()
    return caught.value.sentence


# -- incoming mail ---------------------------------------------------------------------------------


async def spooling(want: BaseException, patch: Patch) -> str:
    patch.setattr("tempfile.TemporaryFile", raising(want))
    with pytest.raises(Shortage) as caught:
        async with Spool(2**20).message("mail", 2**20) as message:
            await message.add(b"." * 2**20)
    return caught.value.sentence


async def posting(want: BaseException, patch: Patch) -> str:
    session = SimpleNamespace(post=raising(wrapped(want)))
    place = Destination("127.0.0.1", 8080, "tickets.mail.svc", "/mail")
    sink = HttpSink(session, place, (), lambda: datetime.now(UTC))  # type: ignore[arg-type]
    with pytest.raises(Shortage) as caught:
        await sink.send(TOLD, None)
    return caught.value.sentence


# -- the engine ------------------------------------------------------------------------------------


async def anywhere_else(want: BaseException, patch: Patch) -> str:
    """What stands keeps standing; of a new spec nothing is known, and why is told."""
    world = Failing()
    spec = {"credentialsRef": {"name": "login"}}
    world.add(SERVER, host="smtp.example.com", **spec)
    await world.look(SERVER)
    world.error = copy(want)  # type: ignore[assignment]
    stands = world.objects[SERVER]["status"]
    with pytest.raises(AssertionError):  # there is nothing to write
        await world.look(SERVER)
    assert world.objects[SERVER]["status"] == stands
    world.add(SERVER, host="mx.example.net", **spec)
    status = await world.look(SERVER)
    (ready,) = (each for each in status.conditions if each.type is ConditionType.READY)
    assert (ready.status, ready.reason) == (ConditionStatus.UNKNOWN, "ResourcesExhausted")
    assert all(condition.status is not ConditionStatus.FALSE for condition in status.conditions)
    return ready.message


SEAMS: dict[Seam, dict[str, BaseException]] = {
    dns_over_udp: SOCKETS,
    dns_over_tcp: SOCKETS,
    dns_over_https: SOCKETS,
    authorities_of_a_resolver: SOCKETS,
    looking_up: SYSTEM,
    a_thread_to_look_up: THREADS,
    connecting: SOCKETS | MEMORY,
    one_address_of_two: SOCKETS | MEMORY,
    in_the_handshake: SOCKETS | MEMORY | {"OpenSSL": WANTS["OpenSSL's memory"]},
    between_commands: SOCKETS | MEMORY,
    at_a_second_sight: SOCKETS,
    reading_a_bundle: SOCKETS | {"OpenSSL": WANTS["OpenSSL's memory"]},
    public_authorities: SOCKETS,
    a_thread_to_compute: THREADS,
    asking_for_a_token: SOCKETS,
    asking_for_identities: SOCKETS,
    fetching_a_policy: SOCKETS,
    spooling: SOCKETS,
    posting: SOCKETS,
    anywhere_else: {name: want for name, want in WANTS.items() if name != "MemoryError"},
}
CASES = [(seam, want) for seam, wants in SEAMS.items() for want in wants.values()]
NAMES = [f"{seam.__name__}: {name}" for seam, wants in SEAMS.items() for name in wants]


@pytest.mark.parametrize(("seam", "want"), CASES, ids=NAMES)
async def test_a_want_of_ours_is_no_verdict(
    seam: Seam, want: BaseException, monkeypatch: Patch
) -> None:
    told = await seam(want, monkeypatch)
    monkeypatch.undo()
    assert told.startswith("postroom itself is short of ")


async def test_no_memory_at_all_leaves_the_object_as_it_is() -> None:
    world = Failing()
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login"})
    world.error = MemoryError()  # type: ignore[assignment]
    with pytest.raises(MemoryError):
        await world.look(SERVER)
