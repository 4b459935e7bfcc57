# SPDX-License-Identifier: Apache-2.0
"""Judgements as they are built: what is kept of a value, what is said to lack, and of chains."""

from __future__ import annotations

import pytest

from postroom.api.findings import FixAction
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import Purpose, RecordState
from postroom.dns.answers import Outcome, Question, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.judging.judgement import (
    Cause,
    blind,
    chain_advice,
    faulty,
    lacking,
    missing,
    named,
    valid,
    where,
)
from postroom.dns.requirements import VALUE_LIMIT, MXWanted, PlannedRecord, TextWanted, Wanted
from unit.dns.judging_looks import Key, Names, plan_of, verdict

NAME = "_check.example.com"


def planned(
    wanted: Wanted = TextWanted("a=1"),  # noqa: B008
    kind: RecordType = RecordType.TXT,
    value: str = "a=1",
) -> PlannedRecord:
    return PlannedRecord("ownership", Purpose.OWNERSHIP, NAME, kind, value, True, wanted)


def test_records_and_questions_are_named_alike() -> None:
    assert where(planned()) == named(Question(NAME, RecordType.TXT)) == f"TXT at {NAME}"


@pytest.mark.parametrize(
    ("wanted", "kind", "there", "said"),
    [
        (TextWanted("a=1"), RecordType.TXT, (), f"There is no TXT at {NAME}."),
        (
            TextWanted("a=1"),
            RecordType.TXT,
            ("b",),
            "There is no ownership record with the required value among the TXT records at "
            f"{NAME}.",
        ),
        # All MX records are of one kind.
        (MXWanted(1, "a.net"), RecordType.MX, ("1 b.net",), f"There is no MX at {NAME}."),
    ],
)
def test_the_kind_is_named_where_others_of_the_type_stand(
    wanted: Wanted, kind: RecordType, there: tuple[str, ...], said: str
) -> None:
    assert lacking(planned(wanted, kind), there) == said


def test_what_is_missing_is_to_be_created() -> None:
    judged = missing(planned(), Code.OWNERSHIP_MISSING, Reason.RECORD_NOT_FOUND, so="So it is.")
    assert (judged.state, judged.reason) == (RecordState.MISSING, Reason.RECORD_NOT_FOUND)
    assert judged.message == f"There is no TXT at {NAME}. So it is."
    assert judged.cause is not None
    assert judged.cause.code is Code.OWNERSHIP_MISSING
    assert judged.cause.message == judged.message
    assert judged.cause.fix is not None
    assert judged.cause.fix.action is FixAction.CREATE
    there = missing(planned(), Code.OWNERSHIP_MISSING, Reason.RECORD_NOT_FOUND, there=["b"])
    assert "among the TXT records" in there.message
    assert there.observed == ()


def test_a_valid_record_keeps_how_it_is_published_if_a_status_holds_it() -> None:
    judged = valid(Reason.RECORD_MATCHED, "It is.", ["b", "a\x00"], "x" * VALUE_LIMIT)
    assert (judged.state, judged.cause) == (RecordState.VALID, None)
    assert judged.observed == ("a\\000", "b")
    assert judged.value == "x" * VALUE_LIMIT
    longer = valid(Reason.RECORD_MATCHED, "It is.", [], "x" * (VALUE_LIMIT + 1))
    assert (longer.value, valid(Reason.RECORD_MATCHED, "It is.", []).value) == (None, None)


def test_a_fault_has_the_message_of_its_cause() -> None:
    cause = Cause(Code.OWNERSHIP_MISMATCH, "Another one.")
    judged = faulty(RecordState.WRONG, Reason.RECORD_MISMATCH, cause, ["b"], "a", certain=True)
    assert (judged.message, judged.cause, judged.observed) == ("Another one.", cause, ("b",))
    assert (judged.value, judged.certain) == ("a", True)
    assert not faulty(RecordState.WRONG, Reason.RECORD_MISMATCH, cause, []).certain


@pytest.mark.parametrize(
    ("observed", "value"),
    [
        ([], None),
        (["a=2"], "a=2"),
        (["x" * VALUE_LIMIT], "x" * VALUE_LIMIT),
        (["x" * (VALUE_LIMIT + 1)], None),
        (["a=2", "a=3"], None),
    ],
)
def test_what_could_not_be_seen_keeps_the_one_value_that_may_be_right(
    observed: list[str], value: str | None
) -> None:
    judged = blind(planned(), observed=observed)
    assert (judged.state, judged.reason) == (RecordState.UNKNOWN, Reason.LOOKUP_FAILED)
    assert f"DNS could not be asked for TXT at {NAME};" in judged.message
    assert judged.value == value
    assert "asked for an address;" in blind(planned(), "an address").message


@pytest.mark.parametrize(("length", "long"), [(0, False), (7, False), (8, True), (60, True)])
def test_only_a_long_chain_is_warned_of(length: int, long: bool) -> None:
    told = chain_advice(planned(), length)
    assert [finding.code for finding in told] == (["CNAME_CHAIN_LONG"] if long else [])
    assert all(f"it takes {length} CNAMEs" in finding.message for finding in told)


@pytest.mark.parametrize(
    ("spec", "records", "crowded", "told"),
    [
        # More addresses than are read are some.
        (
            {"mx": [{"host": "mx.a.net"}]},
            {("example.com", "MX"): ["10 mx.a.net"]},
            ("mx.a.net", "A"),
            ("Valid", None),
        ),
        (
            {"tracking": {"name": "click", "cname": "b.net"}},
            {("click.example.com", "CNAME"): ["b.net"]},
            ("b.net", "A"),
            ("Valid", None),
        ),
        (
            {"mx": [{"host": "mx.a.net"}]},
            {("example.com", "MX"): ["10 mx.a.net", "5 b.org"], ("mx.a.net", "A"): ["192.0.2.1"]},
            ("b.org", "A"),
            ("Wrong", "MX_TAKES_MAIL"),
        ),
        # Which of them are a key is not known.
        (
            {"dkim": [{"selector": "k1", "cname": "k.b.net"}]},
            {("k1._domainkey.example.com", "CNAME"): ["k.b.net"]},
            ("k.b.net", "TXT"),
            ("Unknown", "TOO_MANY_RECORDS"),
        ),
    ],
)
def test_names_of_others_with_too_much_to_be_read(
    spec: dict[str, object],
    records: dict[Key, list[str]],
    crowded: Key,
    told: tuple[str, str | None],
) -> None:
    plan = plan_of(**spec)
    id = plan.records[-1].id
    judged = Names(records, failing={crowded: Outcome.TOO_LARGE}).judged(plan, id)
    assert verdict(judged) == told
    assert judged.cause is None or crowded[0] in judged.message
