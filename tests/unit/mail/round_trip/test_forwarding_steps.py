# SPDX-License-Identifier: Apache-2.0
"""The steps by which forwarding is set up: both addresses, quoted, and sound files only."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.account_messages import ForwardingSource
from postroom.api.conditions import MESSAGE_LIMIT
from postroom.api.data_files import InvalidData, validate
from postroom.mail.round_trip import (
    guide,
    guides,
    steps_for,
)
from postroom.mail.round_trip.forwarding_steps import Step

PUBLIC, TECHNICAL = "support@example.com", "in-7f3a@mx.example.net"


MICROSOFT = ForwardingSource.MICROSOFT365


def test_each_source_has_a_guide() -> None:
    assert [one.name for one in guides()] == list(ForwardingSource)


@pytest.mark.parametrize("source", ForwardingSource)
def test_steps_name_both_addresses_and_fit(source: ForwardingSource) -> None:
    steps = steps_for(source, PUBLIC, TECHNICAL)
    together = " ".join(steps)
    assert PUBLIC in together
    assert TECHNICAL in together
    assert "{" not in together
    assert len(steps) <= 16
    assert all(len(step) <= MESSAGE_LIMIT for step in steps)


def test_microsofts_steps_allow_forwarding_before_they_set_it() -> None:
    steps = steps_for(MICROSOFT, PUBLIC, TECHNICAL)
    allowed = next(i for i, one in enumerate(steps) if "AutoForwardingMode On" in one)
    set_up = next(i for i, one in enumerate(steps) if "-ForwardingSmtpAddress" in one)
    assert allowed < set_up


def test_gmails_own_way_needs_the_confirmation() -> None:
    ways = guide(ForwardingSource.GOOGLE_WORKSPACE).ways
    assert any("code" in step.text for way in ways[1:] for step in way.steps)


def test_quotes_stay_in_their_string() -> None:
    steps = steps_for(MICROSOFT, "o'brien@example.com", TECHNICAL)
    commands = [step for step in steps if "-Identity" in step]
    assert commands
    assert all("'o''brien@example.com'" in command for command in commands)


ATOMS = "abc'`$&;|{}!#"


@given(st.text(ATOMS, min_size=1, max_size=64))
def test_no_address_breaks_out(local: str) -> None:
    steps = steps_for(MICROSOFT, f"{local}@example.com", TECHNICAL)
    commands = [
        step.partition(": ")[2] for step in steps if " -Identity" in step or " -From" in step
    ]
    assert len(commands) == 2
    for command in commands:
        outside = re.sub(r"'(?:[^']|'')*'", "''", command)
        assert "@" not in outside
        assert "'" not in outside.replace("''", "")


def test_a_command_is_never_cut() -> None:
    address = f"{'l' * 60}@{'.'.join(['d' * 60] * 3)}.example"
    steps = steps_for(MICROSOFT, address, address)
    assert all(len(step) <= MESSAGE_LIMIT for step in steps)
    assert any("'<publicAddress>'" in step for step in steps)


STEP = """
text: "Do this."
command: "Do-This '{publicAddress}'"
source: "https://example.com/"
checked: 2026-11-21
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("'{publicAddress}'", "{publicAddress}"),
        ("{publicAddress}", "{address}"),
        ("https://", "http://"),
        ("checked: 2026-11-21", ""),
        ('text: "Do this."', 'text: ""'),
        ("command:", "comand:"),
    ],
)
def test_broken_steps_are_refused(old: str, new: str) -> None:
    validate("step", STEP, Step)
    with pytest.raises(InvalidData):
        validate("step", STEP.replace(old, new), Step)
