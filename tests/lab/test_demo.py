# SPDX-License-Identifier: Apache-2.0
"""``postroom demo`` tells its story to the end; whatever looks like a command can be typed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from loopback import own_address
from postroom.cli.demo_story import asked_of_lab
from postroom.lab.lab import Lab


def test_the_story_ends_well() -> None:
    address = own_address(1)
    told = subprocess.run(
        [sys.executable, "-m", "postroom", "demo", "--address", address],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    chapters = re.findall(r"^\[ *[0-9.]+ s\] (.*)$", told.stdout, re.MULTILINE)
    assert chapters[1] == "The samples are checked: from YAML to verified truth."
    assert chapters[-1].startswith("Verified again.")
    # Without the lab's address and authority that command finds nothing.
    assert "postroom check" not in told.stdout
    asked = re.findall(r"dig .*", told.stdout)
    assert f"dig +norecurse TXT send.example.com @{address} -p 2053" in asked
    assert all(question.endswith(f" @{address} -p 2053") for question in asked)


def test_what_is_asked_of_others_stays(tmp_path: Path) -> None:
    lab = Lab(tmp_path, address="127.0.0.3", dns_port=2054)
    asks = ["dig +norecurse MX a.example.com @ns.lab.example.org", "dig TXT a.example.com"]
    findings = [{"code": "A", "ask": ask} for ask in asks]
    status = {"conditions": [], "findings": findings}
    (shown,) = asked_of_lab([{"kind": "SendingDomain", "status": status}], lab)
    assert [finding["ask"] for finding in shown["status"]["findings"]] == [
        "dig +norecurse MX a.example.com @127.0.0.3 -p 2054",
        "dig TXT a.example.com",
    ]
    # The statuses themselves are not touched.
    assert [finding["ask"] for finding in findings] == asks
    (well,) = asked_of_lab([{"kind": "MailServer", "status": {"conditions": []}}], lab)
    assert well["status"]["findings"] == []
