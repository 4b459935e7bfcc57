# SPDX-License-Identifier: Apache-2.0
"""``make`` is not silent for minutes: each step of a set-up says what it does, and how long."""

from __future__ import annotations

import re
from pathlib import Path

MAKEFILE = Path(__file__).resolve().parents[3] / "Makefile"
SLOW = re.compile(r"-m venv |-m pip install ")
SAYS = re.compile(r'echo ".+ It takes [a-z ]+\."')


def test_every_slow_step_of_a_set_up_says_so_first() -> None:
    lines = MAKEFILE.read_text(encoding="utf-8").splitlines()
    slow = [number for number, line in enumerate(lines) if SLOW.search(line)]
    assert len(slow) >= 4
    for number in slow:
        # One sentence may speak of a venv and of what is installed into it.
        before = [line for line in lines[max(number - 2, 0) : number] if not SLOW.search(line)]
        assert SAYS.search(before[-1]), lines[number]


def test_steps_are_counted() -> None:
    steps = re.findall(r"step ([0-9]) of ([0-9])", MAKEFILE.read_text(encoding="utf-8"))
    assert steps == [("1", "2"), ("2", "2")]
