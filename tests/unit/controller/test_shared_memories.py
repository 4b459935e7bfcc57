# SPDX-License-Identifier: Apache-2.0
"""Everything bounded that is remembered for all namespaces: none makes it forget what is another's.

A table of all such memories in the program; each is filled by one namespace far beyond what it
holds, after a quiet one has had little remembered.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from house.texture import PACKAGE, sources
from lab.kept_secrets import Secrets, kept
from lab.oauth_lab import google_user, microsoft_user
from owners import always_there
from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.masked import Masked
from postroom.api.names import Key, Kind
from postroom.concurrency.acting import acting_for
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller import audit, events, policy_memory
from postroom.controller.cache import Cache
from postroom.controller.events import EventPoster
from postroom.controller.inbound import announced
from postroom.controller.rotation import OwnedSecrets
from postroom.controller.writer import SecretWriter
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.asking import health, limiter, reach
from postroom.dns.asking.cache import SingleFlightCache
from postroom.dns.tls.mta_sts_host import FetchedPolicy, PolicyFetchOutcome
from postroom.mail.connect import dial, tls
from postroom.mail.limits import hosts
from postroom.mail.oauth.answers import AccessToken
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.tokens import TokenSource
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.metrics import Metrics
from postroom.reconcile.status.outcome import Notice, NoticeType
from unit.controller.inbound.statuses import account

#: What a memory holds in these tests, what the quiet namespace has of it, and what the other wants.
ROOM, LITTLE, MUCH = 16, 4, 100


@dataclass
class Memory:
    """Has something remembered by its number on behalf of whoever runs it, and tells if it is."""

    remember: Callable[[int], Awaitable[object]]
    knows: Callable[[int], Awaitable[bool]]


def plain(remember: Callable[[int], object], knows: Callable[[int], bool]) -> Memory:
    """A memory that is asked without waiting."""

    async def remembered(number: int) -> object:
        return remember(number)

    async def known(number: int) -> bool:
        return knows(number)

    return Memory(remembered, known)


def tokens(monkeypatch: pytest.MonkeyPatch) -> Memory:
    asked = 0

    class Endpoint:
        async def post(self, *_: object, **__: object) -> TokenAnswer:
            nonlocal asked
            asked += 1
            return TokenAnswer(200, {"access_token": "t", "token_type": "Bearer", "expires_in": 99})

    source = TokenSource(Endpoint(), limit=ROOM)

    async def known(number: int) -> bool:
        before = asked
        assert isinstance(await source.token(google_user(version=str(number))), AccessToken)
        return asked == before

    return Memory(lambda number: source.token(google_user(version=str(number))), known)


def refresh_tokens(monkeypatch: pytest.MonkeyPatch) -> Memory:
    secrets = Secrets()
    writer = SecretWriter(secrets, TokenBucket(1e6, 1), always_there)
    store = OwnedSecrets(secrets, writer, limit=ROOM)

    def grant(number: int) -> Any:
        return kept(microsoft_user(), source=str(number))

    return Memory(
        lambda number: store.newest(grant(number)),
        plain(print, lambda number: grant(number).key in store._known).knows,
    )


def mail_hosts(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """Also which of them are slow: whose host that is has it begin apart from others."""
    monkeypatch.setattr(hosts, "_HOSTS_LIMIT", ROOM)
    memory = hosts.Hosts(lambda: 0.0)

    def remember(number: int) -> None:
        memory.of(f"h{number}.example.com").speed.slow = True

    return plain(remember, lambda number: memory.of(f"h{number}.example.com").speed.slow)


def accepted_logins(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(hosts, "_PROVEN_LIMIT", ROOM)
    memory = hosts.Proven()
    report = ProbeReport(ProbeStage.DONE, None, "", True, True)

    def login(number: int) -> Login:
        return Login(f"u{number}", Masked("p"))

    def name(number: int) -> str:
        return "quiet" if number < LITTLE else "flood"

    return plain(
        lambda number: memory.note(name(number), "h", login(number), report),
        lambda number: memory.has(name(number), "h", login(number)),
    )


def trust_sets(monkeypatch: pytest.MonkeyPatch) -> Memory:
    built: list[str] = []

    def build(bundle: str | None) -> Any:
        built.append(str(bundle))
        return type("Context", (), {})()

    monkeypatch.setattr(tls, "build_context", build)
    store = tls.TrustStore(ROOM)

    async def known(number: int) -> bool:
        before = len(built)
        await store.context(str(number))
        return len(built) == before

    return Memory(lambda number: store.context(str(number)), known)


def slow_names(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(dial, "_SLOW_NAMES", ROOM)
    monkeypatch.setattr(dial, "_SLOW", 0.0)
    monkeypatch.setattr(dial, "_look_up", lambda host, domains: ())
    resolver = dial.SystemResolver(2, 2)
    return Memory(
        lambda number: resolver(f"h{number}.example.com"),
        plain(print, lambda number: f"h{number}.example.com" in resolver._slow_names).knows,
    )


def dns_answers(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """As are the zones, their servers, and where these listen."""
    cache: SingleFlightCache[Question, Answer] = SingleFlightCache(ROOM)

    def question(number: int) -> Question:
        return Question(f"n{number}.example.com", RecordType.TXT)

    async def remember(number: int) -> object:
        async def fetch() -> tuple[Answer, float]:
            return Answer(question(number), Outcome.NO_DATA), 3600.0

        return await cache.get(question(number), fetch)

    return Memory(
        remember, plain(print, lambda number: cache.kept(question(number)) is not None).knows
    )


def name_servers(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(health, "_SERVERS_LIMIT", ROOM)
    memory: health.Health[int] = health.Health(0.1, 0.25)

    def remember(number: int) -> None:
        for _ in range(2):
            memory.silent(number)

    return plain(remember, memory.is_dead)


def silent_zones(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(reach, "_SILENT_LIMIT", ROOM)
    way = reach.OpenWay()
    return plain(
        lambda number: way.silent(f"z{number}.example"),
        lambda number: ("quiet", f"z{number}.example") in way._silent,
    )


def paces_of_name_servers(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(limiter, "_LIMITERS_LIMIT", ROOM)
    paces = limiter.QueryLimiters()
    return plain(
        lambda number: paces.busy(f"192.0.2.{number}", resolver=False),
        lambda number: (f"192.0.2.{number}", False) in paces._limiters,
    )


def mta_sts_policies(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(policy_memory, "_CHARACTERS_LIMIT", ROOM * 1000)
    memory = policy_memory.PolicyMemory()
    policy = FetchedPolicy(PolicyFetchOutcome.FETCHED, "x" * 1000)
    return plain(
        lambda number: memory.put(f"d{number}.example", policy),
        lambda number: memory.get(f"d{number}.example") is not None,
    )


def used_secrets(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(audit, "_PAIRS_REMEMBERED", ROOM)
    book, told = audit.Audit(), list[object]()
    monkeypatch.setattr(audit, "account_for", lambda entries, extra=None: told.extend(entries))

    def use(number: int) -> None:
        whose = "quiet" if number < LITTLE else "flood"
        target = Endpoint("h", 587, TLSMode.START_TLS, "h", None, whose)
        book.signed_in(target, replace(Login("u", Masked("p")), secret=f"s{number}"))

    def known(number: int) -> bool:
        before = len(told)
        use(number)
        return len(told) == before

    return plain(use, known)


def events_of_objects(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(events, "_OBJECTS_REMEMBERED", ROOM)

    async def post(namespace: str, event: object) -> None:
        """Nothing is posted."""

    poster = EventPoster(post, "i", Metrics())
    notice = Notice(NoticeType.NORMAL, "Ready", "Now.")
    return plain(
        lambda number: poster.announce(Key(Kind.MAIL_SERVER, "n", "o"), f"uid-{number}", [notice]),
        lambda number: f"uid-{number}" in poster._per_object,
    )


def messages_of_ours(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(announced, "_REMEMBERED", ROOM)
    memory = announced.Announced(Cache())

    def place(number: int) -> tuple[str, str, str]:
        return ("quiet" if number < LITTLE else "flood"), "uid-1", f"{number:032x}"

    def remember(number: int) -> None:
        namespace, _, token = place(number)
        raw = account({"roundTrip": {"inFlight": {"token": token, "step": "Sent"}}})
        memory.note({**raw, "metadata": {**raw["metadata"], "namespace": namespace}})

    return plain(remember, lambda number: place(number) in memory._seen)


#: Where each shared memory is made, and how it is tried; how many a file makes.
TABLE: dict[str, tuple[Callable[[pytest.MonkeyPatch], Memory], int]] = {
    "controller/audit.py": (used_secrets, 1),
    "controller/events.py": (events_of_objects, 1),
    "controller/inbound/announced.py": (messages_of_ours, 1),
    "controller/policy_memory.py": (mta_sts_policies, 1),
    "controller/rotation.py": (refresh_tokens, 1),
    "dns/asking/authority.py": (dns_answers, 1),
    "dns/asking/health.py": (name_servers, 1),
    "dns/asking/limiter.py": (paces_of_name_servers, 1),
    "dns/asking/reach.py": (silent_zones, 1),
    "dns/asking/recursion.py": (dns_answers, 2),
    "dns/asking/resolver.py": (dns_answers, 1),
    "dns/asking/zones.py": (dns_answers, 2),
    "mail/connect/dial.py": (slow_names, 1),
    "mail/connect/tls.py": (trust_sets, 1),
    # By namespaces, and of each by logins; and the hosts.
    "mail/limits/hosts.py": (mail_hosts, 3),
    "mail/oauth/tokens.py": (tokens, 1),
}
#: What is bounded and not divided, since nothing that protects anybody is lost with an entry:
#: what a pure function yielded is computed again, within the time that the bound says.
COMPUTED_AGAIN = {
    "api/conditions.py": "a condition: 10 us",
    "api/fields.py": "a duration: 2 us",
    "api/resource.py": "an object's spec and status: 0.3 ms, and only while it is evaluated",
    "api/times.py": "how a time is written: 1 us",
    "concurrency/shards.py": "a hash of a namespace's name: 10 us",
    "dns/asking/wire.py": "a query's octets, a reply that was read: 0.1 ms",
    "dns/diagnosis/places.py": "where a record may have slipped to: 0.2 ms",
    "dns/dkim/concealing.py": "where private keys stand in a text: 1 ms",
    "dns/dkim/slips.py": "what a damaged key record was meant to be: 1 ms",
    "dns/dmarc/record.py": "a DMARC record: 0.1 ms",
    "dns/dmarc/slips.py": "what a damaged DMARC record was meant to be: 1 ms",
    "dns/judging/spf_merge.py": "an SPF record: 1 ms, and only while its domain is judged",
    "dns/spf/record.py": "an SPF record: 1 ms, and only while its domain is judged",
    "dns/texts/pasted.py": "what pasting did to a text: 0.1 ms",
    "lab/zone_data.py": "a record of the lab, which serves one user: 10 us",
    "log.py": "how the second of a line is written: 2 us",
    "mail/connect/guard.py": "what may be dialled: 0.1 ms",
    "mail/presets/identify.py": "whose a host is, and what it is nearly: 1 ms",
    "mail/presets/mailboxes.py": "who signs in, and whether all customers sign in so: 2 us",
    "mail/session/echo_filter.py": "names of a certificate, as they are compared: 0.1 ms",
    "reconcile/account/coverage.py": "what decides what covers a domain: 10 us",
    "reconcile/account/launch.py": "a launch item of a second: 5 us",
    "reconcile/signing_in/references.py": "the text of a reference: 1 us",
    "reconcile/status/assessment.py": "a verdict on what is well: 5 us",
    "reconcile/status/finding_fields.py": "which fields the rules have for a finding: 50 us",
}
#: Of no namespace: whoever scrapes the metrics; other installations, looked for at the start;
#: collections that are listed, of which a page may be asked for twice; echoes of writes, of which
#: one more is read. Their own tests show the rest.
OTHERS = {
    f"controller/{module}.py" for module in ("echoes", "installations", "page_sizes", "scraping")
}
_MEMORIES = {"BoundedMap", "ExpiringMap", "SingleFlightCache"}


def made_in(nodes: Iterable[ast.AST], names: set[str]) -> int:
    """How often something of these names is called, or decorates with arguments."""
    calls = (node.func for node in nodes if isinstance(node, ast.Call))
    return sum(getattr(each, "id", getattr(each, "attr", "")) in names for each in calls)


def modules(names: set[str]) -> dict[str, int]:
    """The modules of the operator that make such things, and how many."""
    found = {
        str(source.path.relative_to(PACKAGE)): made_in(source.nodes, names)
        for source in sources()
        if any(name in source.text for name in names)
    }
    return {name: count for name, count in found.items() if count}


def test_the_table_is_complete() -> None:
    found = modules(_MEMORIES)
    own = {"concurrency/bounded.py", "dns/asking/cache.py"} | OTHERS
    assert {name: count for name, count in found.items() if name not in own} == {
        name: count for name, (_, count) in TABLE.items()
    }
    assert modules({"lru_cache"}).keys() == COMPUTED_AGAIN.keys()


@pytest.mark.parametrize("name", [*TABLE, "accepted logins"])
async def test_no_namespace_makes_another_s_be_forgotten(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = accepted_logins if name == "accepted logins" else TABLE[name][0]
    memory = make(monkeypatch)
    with acting_for("quiet"):
        for number in range(LITTLE):
            await memory.remember(number)
        assert [number for number in range(LITTLE) if not await memory.knows(number)] == []
    with acting_for("flood"):
        for number in range(LITTLE, LITTLE + MUCH):
            await memory.remember(number)
        await asyncio.sleep(0)
    with acting_for("quiet"):
        forgotten = [number for number in range(LITTLE) if not await memory.knows(number)]
    assert forgotten == []
    with acting_for("flood"):
        # It is bounded all the same: what came first of the flood is gone.
        assert not await memory.knows(LITTLE)
