# SPDX-License-Identifier: Apache-2.0
"""What is wrong and what to do are made into one text, and taken apart again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.finding_texts import (
    as_instruction,
    ends_with,
    fix_in,
    in_full,
    joined,
    steps,
    what_is_wrong,
)
from postroom.api.findings import FINDING_LIMIT, Fix, FixAction, RecordToRemove

SET = Fix(action=FixAction.EXTERNAL, instruction="Set it.")
ADD = Fix(action=FixAction.CREATE, name="a.example", host_label="@", type="TXT", value="x")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
FIXES = st.builds(
    Fix,
    action=st.sampled_from(FixAction),
    name=TEXT,
    host_label=TEXT,
    type=st.sampled_from(["TXT", "MX"]),
    value=st.sampled_from(["", "v=spf1 "]).flatmap(lambda begin: TEXT.map(begin.__add__)),
    remove=st.lists(
        st.builds(RecordToRemove, name=TEXT, type=st.sampled_from(["TXT", "MX"]), value=TEXT),
        max_size=16,
    ),
)
SENTENCE = st.text(st.characters(exclude_categories=["Cs"]), max_size=1200).map(
    lambda text: f"{text.strip()}."
)


@given(SENTENCE, FIXES, st.sampled_from(["", "It takes a day."]))
def test_what_was_joined_comes_apart(wrong: str, fix: Fix, more: str) -> None:
    message, told = joined(wrong, fix, more), steps(fix)
    assert len(message) <= FINDING_LIMIT
    assert message.endswith(told)
    left = what_is_wrong(message, fix if told else None)
    if len(wrong) + 1 + len(told) > FINDING_LIMIT:
        assert left.endswith("...") and wrong.startswith(left.removesuffix("..."))
    else:
        assert left in (wrong, f"{wrong} {more}".rstrip())


@pytest.mark.parametrize(
    ("message", "fix", "left"),
    [
        ("It is gone: set it.", SET, "It is gone."),
        ("It is gone; set it.", SET, "It is gone."),
        ("It is gone. Set it.", SET, "It is gone."),
        ("Is it gone? Set it.", SET, "Is it gone?"),
        ("Set it.", SET, ""),
        # What would be left is no sentence.
        ("It is gone, so set it.", SET, "It is gone, so set it."),
        ("It is gone.", SET, "It is gone."),
        ("It is gone.", None, "It is gone."),
        ("It is gone. Publish TXT @: x", ADD, "It is gone."),
        # Another version's words for it, or another record's.
        ("It is gone. Publish MX @: x", ADD, "It is gone. Publish MX @: x"),
        ("Publish TXT is a word. Publish TXT @: x", ADD, "Publish TXT is a word."),
    ],
)
def test_what_is_wrong_is_told_from_what_to_do(message: str, fix: Fix | None, left: str) -> None:
    assert what_is_wrong(message, fix) == left


@pytest.mark.parametrize(
    ("wrong", "fix", "message", "left"),
    [
        ("It is gone:", "set it.", "It is gone: set it.", "It is gone."),
        ("It is gone.", "Set it: now. Or not.", "It is gone. Set it: now. Or not.", "It is gone."),
        ("a: b. c.", "", "a: b. c.", "a: b. c."),
    ],
)
def test_what_is_carried_apart_is_one_text_for_readers(
    wrong: str, fix: str, message: str, left: str
) -> None:
    assert in_full(wrong, fix) == message
    told = Fix(action=FixAction.EXTERNAL, instruction=as_instruction(fix)) if fix else None
    assert what_is_wrong(message, told) == left


@given(st.text(st.characters(codec="ascii"), max_size=80))
def test_an_instruction_says_what_the_text_ends_with(fix: str) -> None:
    assert ends_with(in_full("It is gone:", fix), as_instruction(fix))


def test_steps_leave_room_for_what_is_wrong() -> None:
    gone = [RecordToRemove(name=f"{n}.example", type="TXT", value="v" * 256) for n in range(16)]
    fix = Fix(action=FixAction.DELETE, name="0.example", type="TXT", remove=gone)
    message = joined("These keep mail from arriving.", fix)
    assert message.startswith("These keep mail from arriving. Make the change of the fix")
    assert what_is_wrong(message, fix) == "These keep mail from arriving."


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (None, None),
        ("x", None),
        ({}, None),
        ({"action": "Burn"}, None),
        ({"action": "External", "instruction": None}, None),
        (ADD.model_dump(by_alias=True, mode="json"), ADD),
        ({"action": "External", "instruction": "Set it.", "ofAnotherVersion": 1}, SET),
    ],
)
def test_the_fix_of_a_stored_finding(raw: Any, found: Fix | None) -> None:
    assert fix_in({"fix": raw}) == found
    assert fix_in({}) is None


@pytest.mark.parametrize("text", ["v=DMARC1; x=\x1b[2J", "\x9b31m", "a\u202eb", "a\nb"])
def test_a_value_that_cannot_be_seen_is_in_no_sentence(text: str) -> None:
    told = steps(ADD.model_copy(update={"value": text}))
    assert told == "Publish TXT @: the value of the fix in status.findings"
