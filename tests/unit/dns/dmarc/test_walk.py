# SPDX-License-Identifier: Apache-2.0
"""The DNS tree walk of RFC 9989: its queries, the organisational domain and the policy."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dmarc
from postroom.dns.answers import CONCLUSIVE, Answer, Outcome, Question, RecordType
from postroom.dns.dmarc import AppliesTo, PolicySource, discover, walk_names
from rows import over

DOMAIN = "a.mail.example.com"
LEVELS = ("a.mail.example.com", "mail.example.com", "example.com", "com")


def answer(name: str, *values: str, outcome: Outcome | None = None) -> Answer:
    there = Outcome.FOUND if values else Outcome.NX_DOMAIN
    return Answer(Question(name, RecordType.TXT), outcome or there, values)


def world(records: Mapping[str, str | list[str]], domain: str = DOMAIN) -> dict[str, Answer]:
    """Answers for every name of the walk; what `records` does not name does not exist."""
    found = {}
    for name in walk_names(domain):
        values = records.get(name.removeprefix("_dmarc."), [])
        found[name] = answer(name, *([values] if isinstance(values, str) else values))
    return found


def test_the_example_of_the_standard() -> None:
    assert walk_names("a.b.c.d.e.f.g.h.i.j.mail.example.com") == (
        "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "_dmarc.g.h.i.j.mail.example.com",
        "_dmarc.h.i.j.mail.example.com",
        "_dmarc.i.j.mail.example.com",
        "_dmarc.j.mail.example.com",
        "_dmarc.mail.example.com",
        "_dmarc.example.com",
        "_dmarc.com",
    )


@over(range(1, 131))
def test_the_queries_for_any_number_of_labels(count: int) -> None:
    labels = [f"l{index}" for index in range(count)]
    rest = labels[1:] if count < 8 else labels[-7:]
    expected = [labels]
    while rest:
        expected.append(rest)
        rest = rest[1:]
    found = walk_names(".".join(labels))
    assert found == tuple(f"_dmarc.{'.'.join(one)}" for one in expected)
    assert len(found) == min(count, 8)


PSD = {"-": None, "u": "", "n": "; psd=n", "y": "; psd=y"}
TREES = ["".join(one) for one in product(PSD, repeat=4)]


def organisation_by_the_text(tree: str) -> str:
    """Section 4.10.2, done another way: the walk's stop first, then the three rules in order."""
    stop = next((i for i, one in enumerate(tree) if one in "ny"), len(tree) - 1)
    found = [i for i, one in enumerate(tree) if one != "-" and i <= stop]
    for i in found:
        if tree[i] == "n":
            return LEVELS[i]
        if tree[i] == "y" and i > 0:
            return LEVELS[i - 1]
    return LEVELS[max(found)] if found else DOMAIN


@over(TREES)
def test_the_organisational_domain_of_every_tree(tree: str) -> None:
    records = {
        level: f"v=DMARC1; p=none{PSD[one] or ''}"
        for level, one in zip(LEVELS, tree, strict=True)
        if one != "-"
    }
    found = discover(DOMAIN, world(records))
    assert found.organisational_domain == organisation_by_the_text(tree)
    assert found.policy_domain == policy_domain_by_the_text(tree)


def policy_domain_by_the_text(tree: str) -> str | None:
    """Section 4.10.1: the author domain, the organisational domain, the public suffix."""
    if tree[0] != "-":
        return DOMAIN
    stop = next((i for i, one in enumerate(tree) if one in "ny"), len(tree) - 1)
    owner = LEVELS.index(organisation_by_the_text(tree))
    if tree[owner] != "-":
        return LEVELS[owner]
    return LEVELS[stop] if tree[stop] == "y" else None


P = ["none", "quarantine", "reject"]
#: `p`, `sp`, `np` and `t` of a record.
Policy = tuple[str, str | None, str | None, str | None]
POLICIES: list[Policy] = list(product(P, [None, *P], [None, *P], [None, "n", "y"]))


def record_of(p: str, sp: str | None, np: str | None, t: str | None) -> str:
    tags = {"p": p, "sp": sp, "np": np, "t": t}
    return "; ".join(["v=DMARC1", *(f"{key}={value}" for key, value in tags.items() if value)])


@over(POLICIES)
def test_the_policy_of_every_record(policy: Policy) -> None:
    p, sp, np, t = policy
    text = record_of(p, sp, np, t)
    for place, exists, written, reach in [
        (DOMAIN, True, p, "p"),
        (DOMAIN, False, p, "p"),
        ("example.com", True, sp or p, "sp" if sp else "p"),
        ("example.com", False, np or sp or p, "np" if np else "sp" if sp else "p"),
    ]:
        found = discover(DOMAIN, world({place: text}), exists)
        lower = {"reject": "quarantine", "quarantine": "none", "none": "none"}
        assert found.policy == (lower[written] if t == "y" else written)
        assert (found.reach, found.policy_domain) == (reach, place)
        own = place == DOMAIN
        assert found.source is (PolicySource.OWN if own else PolicySource.INHERITED)


def test_there_are_two_hundred_of_each() -> None:
    assert len(TREES) == 256
    assert len(POLICIES) * 4 >= 200


def test_without_any_record_there_is_no_policy() -> None:
    found = discover(DOMAIN, world({}))
    assert (found.source, found.policy, found.record) == (PolicySource.ABSENT, None, None)
    assert found.organisational_domain == DOMAIN


@pytest.mark.parametrize("bad", ["p=x", "p=none; sp=x", "p=reject; np=", ""])
def test_a_bad_policy_means_none_or_nothing(bad: str) -> None:
    found = discover(DOMAIN, world({"example.com": f"v=DMARC1; {bad}"}))
    assert (found.source, found.policy) == (PolicySource.ABSENT, None)
    assert found.policy_domain == "example.com"
    reporting = {"example.com": f"v=DMARC1; {bad}; rua=mailto:a@example.com"}
    found = discover(DOMAIN, world(reporting), exists=False)
    assert (found.source, found.policy) == (PolicySource.INHERITED, DMARCPolicy.NONE)


def test_several_records_are_discarded_and_told() -> None:
    two = ["v=DMARC1; p=none", "v=DMARC1; p=none; psd=n"]
    found = discover(DOMAIN, world({DOMAIN: two, "example.com": "v=DMARC1; p=reject"}))
    assert found.several == (DOMAIN,)
    assert (found.policy_domain, found.policy) == ("example.com", "reject")
    found = discover(DOMAIN, world({DOMAIN: two}))
    assert (found.source, found.organisational_domain) == (PolicySource.ABSENT, DOMAIN)


def test_other_texts_do_not_count() -> None:
    texts = ["v=spf1 -all", "v=dmarc1; p=none", "v=DMARC1; p=reject"]
    found = discover(DOMAIN, world({DOMAIN: texts}))
    assert (found.policy, found.several) == ("reject", ())


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - CONCLUSIVE))
def test_an_error_leaves_what_is_certain(outcome: Outcome) -> None:
    records = {DOMAIN: "v=DMARC1; p=quarantine", "example.com": "v=DMARC1; p=reject"}
    answers = world(records)
    name = "_dmarc.mail.example.com"
    answers[name] = answer(name, outcome=outcome)
    found = discover(DOMAIN, answers)
    assert (found.source, found.policy) == (PolicySource.OWN, "quarantine")
    assert (found.organisational_domain, found.failed) == (None, ("mail.example.com",))
    answers[f"_dmarc.{DOMAIN}"] = answer(f"_dmarc.{DOMAIN}")
    found = discover(DOMAIN, answers)
    assert (found.source, found.policy, found.policy_domain) == (PolicySource.UNKNOWN, None, None)


def test_an_error_behind_the_end_of_the_walk_does_not_matter() -> None:
    answers = world({"mail.example.com": "v=DMARC1; p=reject; psd=n"})
    del answers["_dmarc.example.com"], answers["_dmarc.com"]
    found = discover(DOMAIN, answers)
    assert (found.policy, found.organisational_domain) == ("reject", "mail.example.com")


def test_an_own_record_that_could_not_be_asked_is_unknown() -> None:
    answers = world({"example.com": "v=DMARC1; p=reject"})
    del answers[f"_dmarc.{DOMAIN}"]
    found = discover(DOMAIN, answers)
    assert (found.source, found.organisational_domain) == (PolicySource.UNKNOWN, None)


def test_existence_matters_only_where_the_record_says_so() -> None:
    same = world({"example.com": "v=DMARC1; p=none; sp=reject"})
    assert discover(DOMAIN, same, exists=None).policy == "reject"
    other = world({"example.com": "v=DMARC1; p=none; np=reject"})
    assert discover(DOMAIN, other, exists=None).source is PolicySource.UNKNOWN


@pytest.mark.parametrize(
    ("outcome", "exists"),
    [
        (Outcome.FOUND, True),
        (Outcome.NO_DATA, True),
        (Outcome.NX_DOMAIN, False),
        (Outcome.TIMEOUT, None),
        (Outcome.SERVER_FAILURE, None),
    ],
)
def test_existence(outcome: Outcome, exists: bool | None) -> None:
    assert dmarc.existence(answer(DOMAIN, outcome=outcome)) is exists


def test_a_name_too_long_to_ask_holds_nothing() -> None:
    domain = ".".join(["x" * 60] * 4) + ".com"
    assert len(domain) <= 253 < len(f"_dmarc.{domain}")
    answers = {name: answer(name) for name in walk_names(domain)[1:]}
    assert discover(domain, answers).source is PolicySource.ABSENT


def test_a_jump_over_the_organisational_domain() -> None:
    domain = "a.b.c.d.e.f.g.h.i.j"
    answers = world({"d.e.f.g.h.i.j": "v=DMARC1; p=reject; psd=y"}, domain)
    found = discover(domain, answers)
    assert (found.organisational_domain, found.policy_domain) == (
        "c.d.e.f.g.h.i.j",
        "d.e.f.g.h.i.j",
    )


TEXTS = st.lists(
    st.sampled_from(["v=DMARC1; p=none", "v=DMARC1; psd=y", "v=DMARC1; psd=n; p=reject", "x"])
)


@given(
    st.lists(st.sampled_from(["a", "b", "example", "com"]), min_size=1, max_size=12),
    st.lists(st.tuples(st.sampled_from(Outcome), TEXTS), min_size=8, max_size=8),
    st.sampled_from([True, False, None]),
)
def test_no_answers_break_it(
    labels: list[str], given_answers: list[tuple[Outcome, list[str]]], exists: bool | None
) -> None:
    domain = ".".join(labels)
    answers = {
        name: answer(name, *values, outcome=outcome)
        for name, (outcome, values) in zip(walk_names(domain), given_answers, strict=False)
    }
    found = discover(domain, answers, exists)
    assert (found.policy is None) is (found.source in (PolicySource.ABSENT, PolicySource.UNKNOWN))
    organisation = found.organisational_domain
    assert organisation is None or domain == organisation or domain.endswith(f".{organisation}")
    assert found.reach is None or found.reach in AppliesTo
