# SPDX-License-Identifier: Apache-2.0
"""Fixes: what goes and what comes instead, what is handed out to nobody, and the instruction."""

from __future__ import annotations

from dataclasses import replace as changed

import pytest

from postroom.api.finding_texts import steps
from postroom.api.findings import (
    REMOVED_LIMIT,
    REMOVED_VALUE_LIMIT,
    Fix,
    FixAction,
    RecordToRemove,
)
from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.judging.fixes import (
    as_removed,
    beyond,
    create,
    delete,
    external,
    fitting,
    move,
    removal,
    replace,
    replacing,
    told,
    wait,
)
from postroom.dns.requirements import VALUE_LIMIT, PlannedRecord, TextWanted

NAME = "_check.example.com"
PLANNED = PlannedRecord(
    "ownership", Purpose.OWNERSHIP, NAME, RecordType.TXT, "a=1", True, TextWanted("a=1")
)
ALIAS = changed(PLANNED, type=RecordType.CNAME, value="b.net")


def gone(fix: Fix | None) -> list[tuple[str, str, str]]:
    assert fix is not None
    return [(record.name, record.type, record.value) for record in fix.remove]


def test_each_fix_says_what_to_publish_and_what_goes_first() -> None:
    made = create(PLANNED)
    assert made == Fix(action=FixAction.CREATE, name=NAME, type="TXT", value="a=1")
    other = replace(PLANNED, ["c", "b"], "a=2", more=removal("x.example.com", RecordType.A, ["1"]))
    assert other is not None
    assert (other.action, other.value) == (FixAction.REPLACE, "a=2")
    assert gone(other) == [
        (NAME, "TXT", "b"),
        (NAME, "TXT", "c"),
        ("x.example.com", "A", "1"),
    ]
    moved = move(PLANNED, "check.example.com", ["a=1"])
    assert moved is not None
    assert (moved.action, moved.name) == (FixAction.MOVE, NAME)
    assert gone(moved) == [("check.example.com", "TXT", "a=1")]
    assert gone(replace(PLANNED, ["b.net"], type=RecordType.CNAME)) == [(NAME, "CNAME", "b.net")]
    assert (wait().action, external().action) == (FixAction.WAIT, FixAction.EXTERNAL)


@pytest.mark.parametrize("length", [410, 736, REMOVED_VALUE_LIMIT])
def test_a_record_that_goes_is_found_by_its_value(length: int) -> None:
    """Whoever applies a fix by a program compares; the sentence for people may be shorter."""
    texts = [f"v=DKIM1; p={'M' * (length - 12)}{last}" for last in "AB"]
    assert gone(delete(removal(NAME, RecordType.TXT, texts))) == [
        (NAME, "TXT", text) for text in texts
    ]
    assert len(steps(delete(removal(NAME, RecordType.TXT, texts)))) < 2 * 300


def test_what_cannot_be_told_whole_is_told_from_others() -> None:
    longer = ["x" * (REMOVED_VALUE_LIMIT + 1), "x" * (REMOVED_VALUE_LIMIT + 2), "\t" * 1000]
    written = [as_removed(text) for text in longer]
    assert len(set(written)) == len(longer)
    assert all(len(text) <= REMOVED_VALUE_LIMIT + 16 and "sha256" in text for text in written)
    assert as_removed("v=spf1\t-all") == "v=spf1\\009-all"


@pytest.mark.parametrize("value", ["", "x" * (VALUE_LIMIT + 1)])
def test_no_value_that_cannot_be_published_is_handed_out(value: str) -> None:
    planned = changed(PLANNED, value=value)
    fixes = [create(planned), replace(planned, ["b"]), move(planned, "b.example.com", ["b"])]
    assert fixes == [None, None, None]
    assert create(PLANNED, "x" * VALUE_LIMIT) is not None


@pytest.mark.parametrize(
    ("aliases", "removed"),
    [
        ((), [(NAME, "TXT", "b"), (NAME, "TXT", "c")]),
        # What stands behind an alias is another's: the alias at the name itself goes, alone.
        (("b.net", "c.net"), [(NAME, "CNAME", "b.net")]),
    ],
)
def test_an_alias_goes_in_the_place_of_what_it_leads_to(
    aliases: tuple[str, ...], removed: list[tuple[str, str, str]]
) -> None:
    answer = Answer(Question(NAME, RecordType.TXT), Outcome.FOUND, ("b", "c"), aliases)
    assert gone(replacing(PLANNED, answer, ["b", "c"])) == removed


def test_no_more_is_taken_away_than_a_status_holds_and_that_is_said() -> None:
    many = [f"{number:03d}" for number in range(REMOVED_LIMIT + 1)]
    fix = delete(removal(NAME, RecordType.TXT, many))
    assert (fix.action, fix.name, fix.type) == (FixAction.DELETE, NAME, "TXT")
    for whole in (fix, replace(PLANNED, many)):
        assert whole is not None
        assert [each.value for each in whole.remove] == many
        assert [each.value for each in told(whole, None).remove] == many[:-1]
        assert "room for 64 of the 65 records" in beyond(whole)
    # What is read of one name and type has room, and many long ones have not.
    long = replace(PLANNED, [f"{number:03d}{'x' * 800}" for number in range(30)])
    assert long is not None
    assert 20 < len(fitting(long).remove) < 25
    all_but_one = delete(removal(NAME, RecordType.TXT, many[1:]))
    assert (fitting(all_but_one), beyond(all_but_one)) == (all_but_one, "")
    assert beyond(wait()) == ""


def test_of_many_beside_a_cname_all_goes_as_it_could_not_stand_there_else() -> None:
    many = [f"{number:03d}" for number in range(REMOVED_LIMIT)]
    more = removal("other.example.com", RecordType.TXT, ["mine"])
    fix = replace(ALIAS, many, type=RecordType.TXT, more=more)
    assert fix is not None
    found = [(each.name, each.type, each.value) for each in told(fix, None).remove]
    assert found == [(NAME, "TXT", ""), ("other.example.com", "TXT", "mine")]
    assert beyond(fix) == ""


def test_what_to_type_is_told_where_the_cause_left_it_open() -> None:
    fix = create(PLANNED)
    assert fix is not None
    assert told(fix, "example.com").host_label == "_check"
    assert told(fix, None).host_label == NAME
    assert told(fix, "example.com", "_check.example").host_label == "_check.example"
    known = fix.model_copy(update={"host_label": "@"})
    assert told(known, "example.com", "_check").host_label == "@"
    assert told(wait(), "example.com") == wait()


@pytest.mark.parametrize(
    ("kind", "length", "written"),
    [
        ("TXT", 255, ""),
        # A character-string has at most 255 bytes (RFC 1035 section 3.3).
        ("TXT", 256, f'"{"x" * 255}" "x"'),
        ("CNAME", 256, ""),
    ],
)
def test_how_a_long_text_is_cut_is_told(kind: str, length: int, written: str) -> None:
    fix = Fix(action=FixAction.CREATE, name=NAME, type=kind, value="x" * length)
    assert told(fix, "example.com").presentation == written


OTHER = RecordToRemove(name="b.example.com", type="TXT", value="v=spf1 -all")
SPF = Fix(action=FixAction.REPLACE, name=NAME, type="TXT", value="v=spf1 mx -all", host_label="_c")


@pytest.mark.parametrize(
    ("fix", "said"),
    [
        (None, ""),
        (wait(), ""),
        (external(), ""),
        (create(PLANNED), f"Publish TXT {NAME}: a=1"),
        (replace(PLANNED, ["b"]), f"Delete TXT {NAME} (b), then publish TXT {NAME}: a=1"),
        (replace(PLANNED, ()), f"Publish TXT {NAME}: a=1"),
        # A value that tells a record from no other is not repeated.
        (replace(PLANNED, ["b" * 65]), f"Delete TXT {NAME}, then publish TXT {NAME}: a=1"),
        (
            move(PLANNED, "c.example.com", ["a=1", "b"]),
            f"Delete TXT c.example.com, then publish TXT {NAME}: a=1",
        ),
        (
            delete(removal(NAME, RecordType.TXT, ["b", "c"])),
            f"Delete TXT {NAME}: b; TXT {NAME}: c",
        ),
        (
            create(PLANNED, "x" * 121),
            f"Publish TXT {NAME}: the value of the fix in status.findings",
        ),
        # What others may need of a policy is changed in place.
        (
            SPF.model_copy(update={"remove": [*removal(NAME, RecordType.TXT, ["v=spf1 a"])]}),
            "Change TXT _c from v=spf1 a to: v=spf1 mx -all",
        ),
        (
            SPF.model_copy(
                update={"remove": [*removal(NAME, RecordType.TXT, ["v=spf1 a"]), OTHER]}
            ),
            "Delete TXT b.example.com (v=spf1 -all), and change TXT _c from v=spf1 a to: "
            "v=spf1 mx -all",
        ),
        (
            SPF.model_copy(update={"remove": [OTHER]}),
            "Delete TXT b.example.com (v=spf1 -all), then publish TXT _c: v=spf1 mx -all",
        ),
    ],
)
def test_what_to_do_is_said_in_the_same_words(fix: Fix | None, said: str) -> None:
    assert steps(fix) == said
