# SPDX-License-Identifier: Apache-2.0
"""Diagnosing one record over a map-shaped DNS, without asking anybody: answers, probes, causes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnsworld.keys import rsa_public_key
from postroom.dns.answers import Outcome, Zone
from postroom.dns.diagnosis.case import Case
from postroom.dns.diagnosis.diagnose import PROBE_ROUNDS, PROBES_LIMIT, causes, probes
from postroom.dns.judging.judge import judge
from postroom.dns.judging.judgement import Cause, Context
from postroom.dns.requirements import DomainPlan
from unit.dns.judging_looks import Key, Names, plan_of, record

KEY, OTHER_KEY = rsa_public_key(11), rsa_public_key(12)
TOKEN = "provider-verify=4f9a0c17b2d84e6693"
SPEC: dict[str, Any] = {
    "ownership": {"value": TOKEN, "name": "_check.example.com"},
    "dkim": [
        {"selector": "k1", "cname": "k1.provider.net"},
        {"selector": "s1", "publicKey": KEY},
    ],
    "spf": {"includes": ["spf.provider.net"]},
    "dmarc": {"policy": "quarantine"},
    "mx": [{"host": "mx.provider.net"}],
    "tracking": {"name": "click", "cname": "click.provider.net"},
}
PROVIDER: dict[Key, list[str]] = {
    ("k1.provider.net", "TXT"): [f"p={OTHER_KEY}"],
    ("spf.provider.net", "TXT"): ["v=spf1 ip4:192.0.2.0/24 -all"],
    ("mx.provider.net", "A"): ["192.0.2.1"],
    ("click.provider.net", "A"): ["192.0.2.2"],
}
NAMESERVERS = ("ns1.example.net", "ns2.example.net")


def plan(**changes: Any) -> DomainPlan:
    """The plan of a domain that declares a record of every kind."""
    # An ownership record stands at or below the domain.
    ownership = {"value": TOKEN, "name": f"_check.{changes.get('domain', 'example.com')}"}
    return plan_of(**{**SPEC, "ownership": ownership, **changes})


def case_of(
    id: str,
    records: dict[Key, list[str]],
    nameservers: tuple[str, ...] = NAMESERVERS,
    outcomes: Mapping[Key, Outcome] | None = None,
    **changes: Any,
) -> Case:
    """Look at a record with everything that the others need, then ask the probes in rounds.

    `outcomes` are those of questions that the map cannot answer.
    """
    whole = plan(**changes)
    context = Context(whole, Zone("example.com", nameservers))
    names = Names({**PROVIDER, **records}, failing=dict(outcomes or {}))
    seen = names.seen(record(whole, id), context)
    for one in whole.records:
        seen = seen.with_answers(names.seen(one, context).answers.values())
    expected, left = record(whole, id), PROBES_LIMIT
    judged = judge(expected, seen, context)
    for _ in range(PROBE_ROUNDS):
        asked = probes(Case(expected, context, seen, judged), left)
        left -= len(asked)
        seen = seen.with_answers([names.answer(one, authenticated=False) for one in asked])
    return Case(expected, context, seen, judged)


def root(id: str, records: dict[Key, list[str]], **changes: Any) -> Cause:
    """The cause that is told first."""
    return causes(case_of(id, records, **changes))[0]


def codes(id: str, records: dict[Key, list[str]], **changes: Any) -> list[str]:
    """The codes of all causes, in their order."""
    return [cause.code for cause in causes(case_of(id, records, **changes))]
