# SPDX-License-Identifier: Apache-2.0
"""What evaluating an SPF record takes: which names to ask, what was seen of them, who passes."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from postroom.dns import spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.judging.seen import Seen
from postroom.dns.judging.spf_includes import (
    FETCH_LIMIT,
    as_record,
    chain,
    fetched,
    questions,
    try_required,
)

LOOKUP_LIMIT = 10
A, AAAA, MX, TXT = RecordType.A, RecordType.AAAA, RecordType.MX, RecordType.TXT
DOMAIN = "example.com"


def seen(records: dict[tuple[str, RecordType], list[str] | Outcome]) -> Seen:
    answers = []
    for (name, kind), there in records.items():
        question = Question(name, kind)
        if isinstance(there, Outcome):
            answers.append(Answer(question, there))
        else:
            answers.append(Answer(question, Outcome.FOUND, tuple(there)))
    return Seen().with_answers(answers)


def wanted(*includes: str, networks: tuple[str, ...] = ()) -> spf.Requirement:
    return spf.Requirement(includes, tuple(map(ip_network, networks)), "~all")


def test_required_includes_are_a_record_of_their_own() -> None:
    assert as_record(wanted("a.net", "b.net")) == "v=spf1 include:a.net include:b.net"
    assert as_record(wanted()) == "v=spf1"


def test_a_chain_is_followed_as_far_as_it_was_seen() -> None:
    there = seen(
        {
            ("a.net", TXT): ["text", "v=spf1 include:b.net redirect=c.net"],
            ("b.net", TXT): ["v=spf1 include:a.net include:d.net -all"],
            # Where there are several records, evaluation ends.
            ("d.net", TXT): ["v=spf1 include:e.net -all", "v=spf1 ~all"],
        }
    )
    assert chain(["v=spf1 include:a.net -all"], "x.net", Seen()) == ("a.net",)
    assert chain(["v=spf1 include:a.net -all"], "x.net", there) == (
        "a.net",
        "b.net",
        "c.net",
        "d.net",
    )


def test_a_chain_without_end_ends() -> None:
    endless = seen(
        {
            (f"n{number}.net", TXT): [f"v=spf1 include:n{number + 1}.net -all"]
            for number in range(2 * FETCH_LIMIT)
        }
    )
    assert len(chain(["v=spf1 include:n0.net -all"], "x.net", endless)) == FETCH_LIMIT
    wide = " ".join(f"include:n{number}.net" for number in range(2 * FETCH_LIMIT))
    assert len(chain([f"v=spf1 {wide} -all"], "x.net", Seen())) == FETCH_LIMIT


def test_hosts_and_exchanges_are_asked_for_what_their_mechanism_takes() -> None:
    text = "v=spf1 include:i.net a mx:m.net exists:e.net exists:%{i}.e.net -all"
    there = seen({("m.net", MX): ["10 x1.m.net", "20 X2.m.net.", "0 ."]})
    asked = questions([text], DOMAIN, there)
    assert set(asked) == {
        ("i.net", TXT),
        (DOMAIN, A),
        (DOMAIN, AAAA),
        ("m.net", MX),
        ("e.net", A),
        # Where that is not there, no name that the macro makes is.
        ("e.net", TXT),
        ("x1.m.net", A),
        ("x1.m.net", AAAA),
        ("x2.m.net", A),
        ("x2.m.net", AAAA),
    }
    assert len(asked) == len(set(asked))


def test_hosts_of_an_include_are_its_own() -> None:
    there = seen({("i.net", TXT): ["v=spf1 a mx -all"]})
    asked = questions(["v=spf1 include:i.net -all"], DOMAIN, there)
    assert {("i.net", A), ("i.net", AAAA), ("i.net", MX)} <= set(asked)
    assert all(name == "i.net" for name, _ in asked)


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (["text", "v=spf1 -all"], spf.Fetched(("v=spf1 -all",))),
        (["text"], spf.Fetched()),
        (Outcome.NX_DOMAIN, spf.Fetched(missing=True)),
        (Outcome.NO_DATA, spf.Fetched(missing=True)),
        (Outcome.TIMEOUT, spf.Fetched(unknown=True)),
        (None, spf.Fetched(unknown=True)),
    ],
)
def test_what_was_seen_of_an_include(there: list[str] | Outcome | None, found: spf.Fetched) -> None:
    known = seen({("i.net", TXT): there} if there is not None else {})
    assert fetched(["v=spf1 include:i.net -all"], DOMAIN, known) == {"i.net": found}


def test_what_was_seen_of_hosts() -> None:
    known = seen({("h.net", A): ["192.0.2.1"], ("h.net", AAAA): Outcome.TIMEOUT})
    host = fetched(["v=spf1 a:h.net -all"], DOMAIN, known)["h.net"]
    assert (host.ipv4, host.ipv6, host.exchanges, host.failed) == (("192.0.2.1",), None, None, True)
    null = seen({("h.net", MX): ["0 ."]})
    assert fetched(["v=spf1 mx:h.net -all"], DOMAIN, null)["h.net"].exchanges == ()


OTHERS = {("p.net", TXT): ["v=spf1 ip4:192.0.2.0/24 -all"]}
OTHERS_OF_Q = {("q.net", TXT): ["v=spf1 ip4:192.0.2.0/24 -all"]}


@pytest.mark.parametrize(
    ("text", "failing"),
    [
        ("v=spf1 include:p.net -all", {}),
        ("v=spf1 ip4:192.0.2.0/24 -all", {}),
        ("v=spf1 -all", {"192.0.2.0": "fail"}),
        ("v=spf1 ~all", {"192.0.2.0": "softfail"}),
        ("v=spf1", {"192.0.2.0": "neutral"}),
        # Not only the first address of a network: what the record seems to leave out.
        ("v=spf1 ip4:192.0.2.0/25 -all", {"192.0.2.128": "fail"}),
        ("v=spf1 -ip4:192.0.2.128/25 include:p.net -all", {"192.0.2.128": "fail"}),
    ],
)
def test_who_is_required_and_does_not_pass(text: str, failing: dict[str, str]) -> None:
    required, known = wanted("p.net"), seen({**OTHERS})
    others = fetched([text, as_record(required)], DOMAIN, known)
    trial = try_required(text, required, others, DOMAIN, known)
    found = {address: result.result.value.lower() for address, result in trial.failing}
    assert found == failing
    assert trial.all_pass is not bool(failing)


def test_whom_the_requirement_refuses_itself_is_not_missed() -> None:
    own = {("p.net", TXT): ["v=spf1 -ip4:192.0.2.0/28 ip4:192.0.2.0/24 -all"]}
    required, known = wanted("p.net"), seen({**own})
    others = fetched([as_record(required)], DOMAIN, known)
    trial = try_required(
        "v=spf1 ip4:192.0.2.16/28 ip4:192.0.2.32/27 ip4:192.0.2.64/26 ip4:192.0.2.128/25 -all",
        required,
        others,
        DOMAIN,
        known,
    )
    assert trial.failing == ()


def test_several_required_includes_that_are_too_much_together_fail_one_by_one() -> None:
    """Each passes by itself: that the second does not is for the sake of the first."""
    levels = {
        (f"s{n}.p.net", TXT): [f"v=spf1 ip4:198.51.100.{n} -all"] for n in range(LOOKUP_LIMIT - 1)
    }
    many = " ".join(f"ip4:203.0.113.{n}" for n in range(0, 254, 2))
    chain = " ".join(f"include:{name}" for name, _ in levels)
    records = {("p.net", TXT): [f"v=spf1 {chain} {many} -all"], **OTHERS_OF_Q, **levels}
    required, known = wanted("p.net", "q.net"), seen({**records})
    text = f"{as_record(required)} -all"
    others = fetched([text], DOMAIN, known)
    trial = try_required(text, required, others, DOMAIN, known)
    assert [(one, result.result.value) for one, result in trial.failing] == [
        ("192.0.2.0", "permerror")
    ]
    turned = "v=spf1 include:q.net include:p.net -all"
    assert not try_required(turned, required, others, DOMAIN, known).all_pass


def test_nobody_tried_is_nobody_who_passes() -> None:
    trial = try_required("v=spf1 -all", wanted(), {}, DOMAIN, Seen())
    assert (trial.tried, trial.failing, trial.all_pass) == (0, (), False)
