# SPDX-License-Identifier: Apache-2.0
"""What is wrong and what to do are made into one text, and stay apart beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.finding_texts import (
    as_instruction,
    as_summary,
    in_full,
    joined,
    steps,
)
from postroom.api.findings import FINDING_LIMIT, Fix, FixAction, RecordToRemove

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
def test_what_is_wrong_stays_apart_from_what_to_do(wrong: str, fix: Fix, more: str) -> None:
    (message, summary), told = joined(wrong, fix, more), steps(fix)
    assert len(message) <= FINDING_LIMIT
    if not told:
        assert summary == ""
        return
    assert message == f"{summary} {told}"
    if len(wrong) + 1 + len(told) > FINDING_LIMIT:
        left = summary.removesuffix(more).rstrip()
        assert left.endswith("...") and wrong.startswith(left.removesuffix("..."))
    else:
        assert summary in (wrong, f"{wrong} {more}".rstrip())


@pytest.mark.parametrize(
    ("wrong", "fix", "message", "summary"),
    [
        ("It is gone:", "set it.", "It is gone: set it.", "It is gone."),
        ("It is gone;", "set it.", "It is gone; set it.", "It is gone."),
        ("It is gone.", "Set it: now. Or not.", "It is gone. Set it: now. Or not.", "It is gone."),
        ("Is it gone?", "Set it.", "Is it gone? Set it.", "Is it gone?"),
        ("a: b. c.", "", "a: b. c.", "a: b. c."),
        # What is no sentence without what to do.
        ("It is gone, so", "set it.", "It is gone, so set it.", ""),
    ],
)
def test_what_is_carried_apart_is_one_text_for_readers(
    wrong: str, fix: str, message: str, summary: str
) -> None:
    assert (in_full(wrong, fix), as_summary(wrong)) == (message, summary)
    assert as_instruction(fix).lower() == fix.lower()


def test_steps_leave_room_for_what_is_wrong() -> None:
    gone = [RecordToRemove(name=f"{n}.example", type="TXT", value="v" * 256) for n in range(16)]
    fix = Fix(action=FixAction.DELETE, name="0.example", type="TXT", remove=gone)
    message, summary = joined("These keep mail from arriving.", fix)
    assert message.startswith("These keep mail from arriving. Make the change of the fix")
    assert summary == "These keep mail from arriving."


@pytest.mark.parametrize("text", ["v=DMARC1; x=\x1b[2J", "\x9b31m", "a\u202eb", "a\nb"])
def test_a_value_that_cannot_be_seen_is_in_no_sentence(text: str) -> None:
    told = steps(ADD.model_copy(update={"value": text}))
    assert told == "Publish TXT @: the value of the fix in status.findings"
