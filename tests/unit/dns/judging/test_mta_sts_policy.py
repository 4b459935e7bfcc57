# SPDX-License-Identifier: Apache-2.0
"""What came of fetching an MTA-STS policy, told, and which policy to serve instead."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.dns.tls.mta_sts_host import CertificateFault, FetchedPolicy, PolicyFetchOutcome
from unit.dns.judging_looks import DOMAIN, Key, Names, plan_of, policy, record, verdict

NAME, HOST = f"_mta-sts.{DOMAIN}", f"mta-sts.{DOMAIN}"
TXT: Key = (NAME, "TXT")
RECORD = "v=STSv1; id=20260101"
SPEC: dict[str, Any] = {"mtaSTS": {"mode": "Enforce"}, "mx": [{"host": "mx.example.com"}]}
HEALTHY: dict[Key, list[str]] = {
    TXT: [RECORD],
    (HOST, "A"): ["192.0.2.1"],
    (DOMAIN, "MX"): ["10 mx.example.com"],
}
GOOD = policy("Enforce", "mx.example.com")
PLAN = plan_of(**SPEC)


def names(change: dict[Key, list[str]] | None = None, fetched: FetchedPolicy = GOOD) -> Names:
    return Names({**HEALTHY, **(change or {})}, policies={DOMAIN: fetched})


FETCHES = [
    (PolicyFetchOutcome.HANDSHAKE, "Wrong", "MTA_STS_HANDSHAKE"),
    (PolicyFetchOutcome.REDIRECT, "Wrong", "MTA_STS_REDIRECT"),
    (PolicyFetchOutcome.NOT_FOUND, "Wrong", "MTA_STS_POLICY_NOT_FOUND"),
    (PolicyFetchOutcome.WRONG_MEDIA_TYPE, "Wrong", "MTA_STS_MEDIA_TYPE"),
    (PolicyFetchOutcome.TOO_LARGE, "Wrong", "MTA_STS_POLICY_SYNTAX"),
    (PolicyFetchOutcome.DENIED, "Unknown", "MTA_STS_DENIED"),
    (PolicyFetchOutcome.UNREACHABLE, "Unknown", "MTA_STS_UNREACHABLE"),
    (PolicyFetchOutcome.HOST_NOT_FOUND, "Unknown", "MTA_STS_UNREACHABLE"),
]


@pytest.mark.parametrize(("outcome", "state", "code"), FETCHES)
def test_what_came_of_fetching(outcome: PolicyFetchOutcome, state: str, code: str) -> None:
    judged = names(fetched=FetchedPolicy(outcome, status=None)).judged(PLAN, "mta-sts")
    assert verdict(judged) == (state, code)
    assert judged.observed == (RECORD,)


def test_every_outcome_is_judged() -> None:
    told = {one for one, _, _ in FETCHES}
    left = set(PolicyFetchOutcome) - told
    assert left == {PolicyFetchOutcome.FETCHED, PolicyFetchOutcome.CERTIFICATE}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (CertificateFault.EXPIRED, "expired"),
        (CertificateFault.NOT_YET_VALID, "not valid yet"),
        (CertificateFault.OTHER_NAME, "other names"),
        (CertificateFault.UNTRUSTED, "authority"),
    ],
)
def test_a_bad_certificate_is_explained(fault: CertificateFault, said: str) -> None:
    fetched = FetchedPolicy(PolicyFetchOutcome.CERTIFICATE, certificate=fault)
    judged = names(fetched=fetched).judged(PLAN, "mta-sts")
    assert verdict(judged) == ("Wrong", "MTA_STS_CERTIFICATE")
    assert said in judged.message


def test_a_server_in_trouble_says_so() -> None:
    fetched = FetchedPolicy(PolicyFetchOutcome.UNREACHABLE, status=503)
    judged = names(fetched=fetched).judged(PLAN, "mta-sts")
    assert (judged.state.value, "503" in judged.message) == ("Unknown", True)


def test_a_weak_mode_is_told_with_the_lines_to_serve() -> None:
    fetched = policy("Testing", "mx.example.com", age=1_000_000)
    judged = names(fetched=fetched).judged(PLAN, "mta-sts")
    assert verdict(judged) == ("Wrong", "MTA_STS_MODE_WEAK")
    lines = '"version: STSv1", "mode: enforce", "mx: mx.example.com", "max_age: 1000000"'
    assert judged.message.endswith(f"then change the id of the record: {lines}.")
    assert judged.value == record(PLAN, "mta-sts").value != RECORD


def test_many_exchanges_do_not_swell_the_message() -> None:
    hosts = [f"{'x' * 60}.{'y' * 60}.{number}.example.com" for number in range(10)]
    plan = plan_of(mtaSTS={"mode": "Enforce"}, mx=[{"host": host} for host in hosts])
    judged = names(fetched=policy("Testing", *hosts)).judged(plan, "mta-sts")
    assert "one mx for every mail exchange" in judged.message
    assert len(judged.message) < 1024
