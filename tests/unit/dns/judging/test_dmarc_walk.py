# SPDX-License-Identifier: Apache-2.0
"""The tree walk of DMARC (RFC 9989 section 4.10) over what was seen, and what it starts from."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dmarc
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.judging.dmarc_walk import discover, domain_of, sending_identifiers, walk
from postroom.dns.judging.seen import Seen
from unit.dns.judging_looks import plan_of, record

STRICT = "v=DMARC1; p=reject; sp=quarantine; np=none"


def text(domain: str, *values: str) -> Answer:
    question = Question(f"_dmarc.{domain}", RecordType.TXT)
    return Answer(question, Outcome.FOUND if values else Outcome.NX_DOMAIN, values)


def test_a_record_is_for_the_domain_below_whose_label_it_stands() -> None:
    plan = plan_of(domain="a.example.com", dmarc={"policy": "reject"})
    assert domain_of(record(plan, "dmarc")) == "a.example.com"


@pytest.mark.parametrize(
    ("spec", "domains"),
    [
        ({}, []),
        ({"mx": [{"host": "mx.provider.net"}]}, []),
        ({"returnPath": {"name": "b", "cname": "b.provider.net"}}, ["b.example.com"]),
        (
            {
                "returnPath": {
                    "name": "b",
                    "mx": [{"host": "m1.provider.net"}, {"host": "m2.provider.net"}],
                    "spf": {"includes": ["spf.provider.net"]},
                }
            },
            ["b.example.com"],
        ),
    ],
)
def test_mail_is_authenticated_with_the_return_path_once(
    spec: dict[str, Any], domains: list[str]
) -> None:
    made = sending_identifiers(plan_of(**spec))
    assert [identifier.domain for identifier in made] == domains
    assert {identifier.mechanism for identifier in made} <= {dmarc.Mechanism.SPF}


def test_only_what_was_seen_of_the_walk_is_told() -> None:
    other = Answer(Question("example.com", RecordType.TXT), Outcome.FOUND, ("text",))
    seen = Seen().with_answers([text("example.com", STRICT), text("other.net"), other])
    assert walk("a.example.com", seen) == {"_dmarc.example.com": text("example.com", STRICT)}


@pytest.mark.parametrize(
    ("kind", "outcome", "policy"),
    [
        # Only NXDOMAIN makes a domain a non-existent one, of whatever type it is told.
        (RecordType.A, Outcome.NX_DOMAIN, DMARCPolicy.NONE),
        (RecordType.MX, Outcome.NX_DOMAIN, DMARCPolicy.NONE),
        (RecordType.A, Outcome.NO_DATA, DMARCPolicy.QUARANTINE),
        (RecordType.TXT, Outcome.FOUND, DMARCPolicy.QUARANTINE),
    ],
)
def test_whether_the_domain_exists_decides_between_sp_and_np(
    kind: RecordType, outcome: Outcome, policy: DMARCPolicy
) -> None:
    about = Answer(Question("a.example.com", kind), outcome)
    # What could not be seen of it, and what is seen of others, decides nothing.
    silent = Answer(Question("a.example.com", RecordType.AAAA), Outcome.TIMEOUT)
    other = Answer(Question("b.example.com", kind), Outcome.NX_DOMAIN)
    walked = [text("a.example.com"), text("example.com", STRICT), text("com")]
    found = discover("a.example.com", Seen().with_answers([silent, other, about, *walked]))
    assert (found.policy_domain, found.policy) == ("example.com", policy)


def test_a_name_that_was_not_asked_leaves_it_open() -> None:
    found = discover("a.example.com", Seen().with_answers([text("example.com", STRICT)]))
    assert found.source is dmarc.PolicySource.UNKNOWN
