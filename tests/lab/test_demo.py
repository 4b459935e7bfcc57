# SPDX-License-Identifier: Apache-2.0
"""``postroom demo`` tells its story to the end; whatever looks like a command can be typed."""

from __future__ import annotations

import re
import subprocess
import sys

from loopback import own_address


def test_the_story_ends_well() -> None:
    address = own_address(1)
    told = subprocess.run(
        [sys.executable, "-m", "postroom", "demo", "--address", address],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    chapters = re.findall(r"^\[ *[0-9.]+ s\] (.*)$", told.stdout, re.MULTILINE)
    assert chapters[1] == "The samples are checked: from YAML to verified truth."
    assert chapters[-4].startswith("Verified again.")
    assert chapters[-1].endswith("nothing is left behind.")
    # A mail and its answer: one ticket, with what was attached.
    tickets = re.findall(
        r"^  ticket (\d+): (.*), from (\S+) \(\d+ ms\)$", told.stdout, re.MULTILINE
    )
    assert tickets == [
        ("1", "The printer is on fire", "ann@example.net"),
        ("1", "Re: The printer is on fire", "ben@example.net"),
    ]
    assert "with printer.jpg (20000 octets)" in told.stdout
    # Without the lab's address and authority that command finds nothing.
    assert "postroom check" not in told.stdout
    asked = re.findall(r"dig .*", told.stdout)
    assert f"dig +norecurse TXT send.example.com @{address} -p 2053" in asked
    assert all(question.endswith(f" @{address} -p 2053") for question in asked)
