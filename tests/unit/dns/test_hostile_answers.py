# SPDX-License-Identifier: Apache-2.0
"""Whatever DNS answers, a look ends, never raises, and yields a report that fits into a status."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.api.findings import FINDINGS_LIMIT
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import SendingDomainSpec, SendingDomainStatus
from postroom.dns import planning
from postroom.dns.answers import (
    Answer,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
    Zone,
)
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import Scope, verify
from postroom.reconcile.domain.records import status_fields
from unit.dns.domains import RSA, SPEC

#: A spec that declares everything there is.
EVERYTHING: dict[str, Any] = {
    **SPEC,
    "dkim": [*SPEC["dkim"], {"selector": "next", "publicKey": RSA, "role": "Next"}],
    "returnPath": {"name": "bounce", "mx": [{"host": "mx.provider.net"}], "spf": SPEC["spf"]},
    "tracking": {"name": "click", "cname": "click.provider.net"},
    "mtaSTS": {"mode": "Enforce", "cname": "sts.provider.net"},
    "tlsRPT": {"rua": ["mailto:tls@example.com"]},
    "bimi": {"logo": "https://example.com/logo.svg"},
    "dane": {},
    "sendingIPs": ["192.0.2.25", "2001:db8::25"],
    "bulkSenderProfiles": ["Gmail", "Microsoft", "Yahoo"],
}
#: Bytes of a status as JSON; etcd takes 1.5 MiB for the whole object.
STATUS_LIMIT = 256 * 1024


def spec_of(raw: dict[str, Any]) -> SendingDomainSpec:
    spec = parse_spec(Kind.SENDING_DOMAIN, raw)
    assert isinstance(spec, SendingDomainSpec)
    return spec


class Liar:
    """An Asker that answers every question by `lie`; how often it was asked is counted."""

    def __init__(self, lie: Any) -> None:
        self._lie = lie
        self.asked = 0

    def _answer(self, question: Question) -> Answer:
        self.asked += 1
        answer = self._lie(question)
        assert isinstance(answer, Answer)
        return answer

    async def zone_of(self, name: str) -> Zone | Answer:
        return Zone("example.com", ("ns1.example.net", "ns2.example.net"))

    async def authoritative(self, question: Question) -> Answer:
        return self._answer(question)

    async def recursive(self, question: Question) -> Answer:
        return self._answer(question)

    async def shared(self, question: Question) -> Answer:
        return self._answer(question)

    async def unvalidated(self, question: Question) -> Answer:
        return self._answer(question)

    async def every_server(self, question: Question) -> tuple[ServerAnswer, ...]:
        names = ("ns1.example.net", "ns2.example.net")
        return tuple(ServerAnswer(name, self._answer(question)) for name in names)

    async def serials(self, name: str) -> tuple[ServerAnswer, ...]:
        return await self.every_server(Question("example.com", RecordType.SOA))

    async def delegation(self, apex: str) -> Delegation | Answer:
        return Answer(Question(apex, RecordType.NS), Outcome.SERVER_FAILURE)


def look(lie: Any) -> tuple[DomainReport, Liar]:
    spec = planning.complete(spec_of(EVERYTHING))
    liar = Liar(lie)
    plan = planning.plan(spec, "mail", b"key", {})
    return run(verify(plan, liar, Scope(full=True))), liar


def fits(report: DomainReport) -> None:
    """The status that the report makes is one that the schema takes, and small."""
    fields = status_fields(report, SendingDomainStatus(), {}, same_generation=False)
    status = SendingDomainStatus.model_validate(fields, by_name=True)
    assert len(status.findings) <= FINDINGS_LIMIT
    keys = [(finding.code, finding.subject) for finding in status.findings]
    assert len(keys) == len(set(keys)), "a list map has no key twice"
    assert len(json.dumps(status.model_dump(mode="json", by_alias=True))) < STATUS_LIMIT


def found(question: Question, *values: str, aliases: tuple[str, ...] = ()) -> Answer:
    strings = tuple((value,) for value in values) if question.type is RecordType.TXT else ()
    return Answer(question, Outcome.FOUND, values, aliases, 60, authoritative=True, strings=strings)


#: Long ones are as long as a message over TCP can carry (65,535 octets).
HOSTILE = {
    "as much text as there can be": lambda one: found(one, "v=spf1 " + "a" * 65_000),
    "as many terms as there can be": lambda one: found(
        one, "v=spf1 " + "include:a.example " * 3_600
    ),
    "a hundred SPF records": lambda one: found(
        one, *(f"v=spf1 include:a{index}.example ~all" for index in range(100))
    ),
    "a hundred DMARC records": lambda one: found(
        one, *(f"v=DMARC1; p=none; rua=mailto:a{index}@b.example" for index in range(100))
    ),
    "a hundred keys": lambda one: found(
        one, *(f"v=DKIM1; p={'A' * index}" for index in range(100))
    ),
    "NUL and control bytes": lambda one: found(one, "v=spf1 \x00\x01\x1b[31m\x7f\xff include:\x00"),
    "quotes and backslashes": lambda one: found(one, '"' * 5000, "\\" * 5000),
    "itself": lambda one: found(one, one.name, aliases=(one.name,) * 8),
    "an include of itself": lambda one: found(
        one, f"v=spf1 include:{one.name} redirect={one.name}"
    ),
    "names too long": lambda one: found(one, "10 " + "a" * 300 + ".example", "a." * 200),
    "nonsense numbers": lambda one: found(one, "99999999999999999999 mx.example", "3 1 1 zz"),
    "nothing": lambda one: Answer(one, Outcome.NO_DATA, ttl=0, authoritative=True),
    "no such name": lambda one: Answer(one, Outcome.NX_DOMAIN, ttl=2**31 - 1, authoritative=True),
    "no answer": lambda one: Answer(one, Outcome.TIMEOUT),
    "malformed": lambda one: Answer(one, Outcome.MALFORMED),
    "empty strings": lambda one: found(one, "", "", ""),
    "macros": lambda one: found(one, "v=spf1 " + "exists:%{i}.%{s}.%{d9999r}.example " * 500),
    "commas": lambda one: found(one, "v=DMARC1; p=none; rua=" + "mailto:a@b.example," * 3_400),
}


@pytest.mark.parametrize("lie", HOSTILE.values(), ids=HOSTILE)
def test_hostile_answers_cost_one_bounded_look(lie: Any) -> None:
    report, liar = look(lie)
    fits(report)
    assert liar.asked < 1500


PIECES = [
    *("v=spf1 ", "include:", "spf.provider.net", " ~all", "redirect=", "%{i}", "ip4:1.2.3.4"),
    *("v=DKIM1;", " k=rsa;", " p=", RSA, RSA[:200], ";", '"', "\\", "v=DMARC1;", " p=none"),
    *("; rua=mailto:", "a@b.example", "v=STSv1; id=1", "v=TLSRPTv1; rua=", "v=BIMI1; l="),
    *("10 mx.provider.net", "k1.provider.net", "\x00", " ", ",", "provider-verify=abc"),
]
TEXTS = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=400),
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
)
OUTCOMES = st.sampled_from([*Outcome, Outcome.FOUND, Outcome.FOUND, Outcome.FOUND])


@given(st.data(), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_answers_at_all(data: st.DataObject, seed: int) -> None:
    texts = data.draw(st.lists(TEXTS, min_size=1, max_size=8))
    outcomes = data.draw(st.lists(OUTCOMES, min_size=1, max_size=8))
    chance = random.Random(seed)  # noqa: S311

    def lie(question: Question) -> Answer:
        outcome = chance.choice(outcomes)
        if outcome is not Outcome.FOUND:
            return Answer(question, outcome, ttl=60, authoritative=chance.random() < 0.8)
        return found(question, *chance.sample(texts, chance.randint(1, min(3, len(texts)))))

    report, _ = look(lie)
    fits(report)
