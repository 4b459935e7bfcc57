# SPDX-License-Identifier: Apache-2.0
"""A zone with two name servers, what they and the zone above answer, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

from postroom.dns.answers import (
    Answer,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
    Zone,
)
from postroom.dns.diagnosis.zone import ZoneView, findings, root_cause

APEX = "example.com"
ZONE = Zone(APEX, ("ns1.host.net", "ns2.host.net"))
SOA = Question(APEX, RecordType.SOA)
PUBLIC = "ns1.host.net hostmaster.host.net 7 7200 900 1209600 300"
PRIVATE = "dc1.corp.example admin.corp.example 9 7200 900 1209600 300"


def served(name: str, value: str = "7", errors: tuple[int, ...] = ()) -> ServerAnswer:
    answer = Answer(SOA, Outcome.FOUND, (value,), authoritative=True, server="192.0.2.1")
    return ServerAnswer(name, replace(answer, errors=errors))


def failed(name: str, outcome: Outcome, server: str | None = None) -> ServerAnswer:
    return ServerAnswer(name, Answer(SOA, outcome, server=server))


def both(value: str = "7") -> tuple[ServerAnswer, ...]:
    return tuple(served(name, value) for name in ZONE.nameservers)


def codes(view: ZoneView) -> list[str]:
    return [finding.code for finding in findings(view)]


def root_code(view: ZoneView, *outcomes: Outcome) -> str | None:
    root = root_cause(view, outcomes or {Outcome.FOUND})
    return root.finding.code if root else None


def delegated(
    *names: str, signed: bool | None = False, servers: tuple[ServerAnswer, ...] = ()
) -> Delegation:
    return Delegation("com", names or ZONE.nameservers, signed, servers)
