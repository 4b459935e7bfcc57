# SPDX-License-Identifier: Apache-2.0
"""An asker that speaks to the servers of a world without messages, for many worlds in little time.

It believes and doubts what the real one does: authority alone, a failure where all fail, the
resolver where all are silent.
"""

from __future__ import annotations

from collections.abc import Sequence

from closed_loop.loop import APEX
from closed_loop.worlds import Scene
from dnsworld.message import NXDOMAIN, REFUSED, SERVFAIL, Query, Reply
from dnsworld.names import name_of, text_of
from dnsworld.rdata import first_target, type_of, value_text
from dnsworld.server import NameServer
from dnsworld.world import Egress
from postroom.dns.answers import (
    Answer,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
    Zone,
)

_TRIES = 2


class LightAsker:
    """Implements `postroom.dns.answers.Asker` over a scene.

    `heard` are the servers and questions that were answered with authority.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene, self._world = scene, scene.world
        self.heard: set[tuple[str, Question]] = set()

    async def zone_of(self, name: str) -> Zone | Answer:
        found = await self.recursive(Question(APEX, RecordType.NS))
        if self._world.resolver.dead:
            return found
        return Zone(APEX, tuple(sorted(server.name for server in self._scene.servers)))

    async def authoritative(self, question: Question) -> Answer:
        servers = list(self._scene.servers)
        self._world.random.shuffle(servers)
        failed, good = list[Answer](), None
        for server in servers:
            answer = self._ask(server, question)
            if answer is not None and answer.authoritative:
                good = answer
                break
            failed += [answer] if answer is not None else []
        if good is None:
            return failed[0] if failed else await self.recursive(question)
        if good.aliases and not good.values:
            behind = tuple(self._world.truth(good.aliases[0], question.type.value))
            outcome = Outcome.FOUND if behind else Outcome.NX_DOMAIN
            return Answer(question, outcome, behind, good.aliases, 60, authoritative=True)
        return good

    async def recursive(self, question: Question) -> Answer:
        return self._resolve(question, checking_disabled=False)

    async def shared(self, question: Question) -> Answer:
        return await self.recursive(question)

    async def unvalidated(self, question: Question) -> Answer:
        return self._resolve(question, checking_disabled=True)

    async def every_server(self, question: Question) -> tuple[ServerAnswer, ...]:
        return self._every(self._scene.servers, question)

    async def serials(self, name: str) -> tuple[ServerAnswer, ...]:
        question = Question(APEX, RecordType.SOA)
        return tuple(
            ServerAnswer(one.nameserver, _with_serial(one.answer))
            for one in self._every(self._scene.servers, question)
        )

    async def delegation(self, apex: str) -> Delegation | Answer:
        if self._world.egress is not Egress.OPEN:
            return Answer(Question(apex, RecordType.NS), Outcome.TIMEOUT)
        names = tuple(sorted(server.name for server in self._scene.servers))
        servers = self._every(self._scene.servers, Question(apex, RecordType.SOA))
        signed = bool(self._world.truth(apex, "DS"))
        return Delegation("com", names, signed, servers)

    def _every(self, servers: Sequence[NameServer], question: Question) -> tuple[ServerAnswer, ...]:
        return tuple(
            ServerAnswer(one.name, self._ask(one, question) or Answer(question, Outcome.TIMEOUT))
            for one in sorted(servers, key=lambda one: one.name)
        )

    def _ask(self, server: NameServer, question: Question) -> Answer | None:
        """Ask one server, twice at most; None: silence."""
        if server.dead or self._world.egress is not Egress.OPEN:
            return None
        if all(self._world.random.random() < server.loss for _ in range(_TRIES)):
            return None
        query = Query(name_of(question.name), type_of(question.type.value))
        reply, _ = server.answer(query, self._world.now())
        if reply is None:
            return None
        answer = _read(reply, question, server.addresses[0])
        if answer.conclusive and not answer.authoritative:
            return Answer(question, Outcome.REFUSED, server=answer.server)
        if answer.authoritative:
            self.heard.add((server.name, question))
        return answer

    def _resolve(self, question: Question, *, checking_disabled: bool) -> Answer:
        resolver = self._world.resolver
        if resolver.dead or self._world.random.random() < resolver.loss:
            return Answer(question, Outcome.TIMEOUT)
        query = Query(
            name_of(question.name),
            type_of(question.type.value),
            recursion_desired=True,
            checking_disabled=checking_disabled,
        )
        reply, _ = resolver.answer(query, self._world.now())
        if reply is None:
            return Answer(question, Outcome.TIMEOUT)
        reply.authoritative = False
        return _read(reply, question, resolver.addresses[0])


def _read(reply: Reply, question: Question, server: str) -> Answer:
    failed = {SERVFAIL: Outcome.SERVER_FAILURE, REFUSED: Outcome.REFUSED}.get(reply.rcode)
    if failed is not None:
        return Answer(question, failed, server=server, errors=reply.errors)
    wanted, aliases = type_of(question.type.value), tuple[str, ...]()
    values, ttls = tuple[str, ...](), list[int]()
    for rrset in reply.answer:
        ttls.append(rrset.ttl)
        if rrset.type == wanted:
            values = tuple(value_text(wanted, data) for data in rrset.data)
        elif rrset.type == type_of("CNAME"):
            aliases += (text_of(first_target(rrset)),)
    ttls += [rrset.ttl for rrset in reply.authority if not values]
    denied = Outcome.NX_DOMAIN if reply.rcode == NXDOMAIN else Outcome.NO_DATA
    return Answer(
        question,
        Outcome.FOUND if values else denied,
        values,
        aliases,
        min(ttls, default=None),
        authoritative=reply.authoritative,
        server=server,
        errors=reply.errors,
    )


def _with_serial(answer: Answer) -> Answer:
    fields = [value.split() for value in answer.values]
    values = tuple(field[2] for field in fields if len(field) == 7)
    return Answer(
        answer.question,
        answer.outcome,
        values,
        ttl=answer.ttl,
        authoritative=answer.authoritative,
        server=answer.server,
    )
