# SPDX-License-Identifier: Apache-2.0
"""What of the answers at a name is synthesized.

Covers: the name that nobody has made; what a wildcard answers at the record's own name and at
others; what a DNAME makes of the name above; whose CNAME it is.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis.case import Case
from postroom.dns.diagnosis.synthesis import (
    alias_of,
    answers_at_name,
    dname_target,
    from_wildcard,
    invented_name,
    invented_sibling,
    only_from_wildcard,
    parent,
)
from unit.dns.diagnosis_looks import case_of

CLICK = "click.example.com"
SIBLING = invented_name("example.com")


def tracking(*answers: Answer) -> Case:
    """A CNAME at click.example.com that is missing, where just these answers were seen."""
    case = case_of("tracking", {})
    asked = [Question(CLICK, kind) for kind in RecordType]
    nothing = [Answer(question, Outcome.NX_DOMAIN) for question in asked]
    return replace(case, seen=case.seen.with_answers([*nothing, *answers]))


def cname(name: str, target: str) -> Answer:
    return Answer(Question(name, RecordType.CNAME), Outcome.FOUND, (target,))


def text(name: str, *values: str) -> Answer:
    return Answer(Question(name, RecordType.TXT), Outcome.FOUND, values)


def test_the_invented_name_is_the_same_each_time_and_another_in_each_zone() -> None:
    assert invented_name("example.com") == SIBLING
    assert parent(SIBLING) == "example.com"
    assert SIBLING.partition(".")[0] != invented_name("example.net").partition(".")[0]


def test_beside_the_zone_itself_there_is_no_sibling() -> None:
    assert invented_sibling(tracking()) == SIBLING
    assert invented_sibling(case_of("spf", {})) is None


@pytest.mark.parametrize(
    ("own", "beside", "is_wild"),
    [
        (("a",), ("a",), True),
        (("a", "b"), ("b", "a"), True),
        (("a", "b"), ("a",), False),
        (("a",), ("a", "b"), False),
        ((), (), False),
    ],
)
def test_a_wildcard_answers_both_names_alike(
    own: tuple[str, ...], beside: tuple[str, ...], is_wild: bool
) -> None:
    case = tracking(text(CLICK, *own), text(SIBLING, *beside))
    assert from_wildcard(case, RecordType.TXT) is is_wild
    assert not from_wildcard(tracking(text(CLICK, *own)), RecordType.TXT)


@pytest.mark.parametrize(
    ("there", "beside", "is_wild"),
    [(("a",), ("a",), True), (("a",), ("a", "b"), True), (("a", "b"), ("a",), False)],
)
def test_what_a_wildcard_answers_stands_at_no_other_name_either(
    there: tuple[str, ...], beside: tuple[str, ...], is_wild: bool
) -> None:
    answer = text("other.example.com", *there)
    assert only_from_wildcard(tracking(text(SIBLING, *beside)), answer) is is_wild
    assert not only_from_wildcard(tracking(), answer)


def test_only_what_shows_something_stands_at_the_name() -> None:
    address = Answer(Question(CLICK, RecordType.A), Outcome.FOUND, ("192.0.2.1",))
    answers = list(answers_at_name(tracking(text(CLICK, "a"), address)))
    assert [answer.question.type for answer in answers] == [RecordType.TXT, RecordType.A]


def test_a_dname_renames_every_name_in_the_same_way() -> None:
    label = SIBLING.partition(".")[0]
    renamed = cname(CLICK, "click.example.net"), cname(SIBLING, f"{label}.example.net")
    assert dname_target(tracking(*renamed)) == "example.net"
    assert alias_of(tracking(*renamed)) is None
    # A wildcard gives all names the same target, and an alias of its own has nobody else's.
    assert dname_target(tracking(renamed[0], cname(SIBLING, "click.example.net"))) is None
    assert dname_target(tracking(renamed[0])) is None


def test_whose_alias_it_is() -> None:
    assert alias_of(tracking(cname(CLICK, "host.example.net"))) == "host.example.net"
    both = cname(CLICK, "host.example.net"), cname(SIBLING, "host.example.net")
    assert alias_of(tracking(*both)) is None
    assert alias_of(tracking()) is None
