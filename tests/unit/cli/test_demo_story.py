# SPDX-License-Identifier: Apache-2.0
"""The turns of the demo's story: what breaks, what mends it, and what can be typed meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postroom.api.names import Kind
from postroom.api.resource import parse_status
from postroom.cli import demo_story
from postroom.cli.demo_story import DemoFailed, Narrator, apply_fix, break_record
from postroom.lab.lab import Lab

DOMAIN = demo_story.DOMAIN


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab that does not run: its zones and its address are all that is needed."""
    return Lab(tmp_path, address="127.0.0.3", dns_port=2054)


def spf_records(lab: Lab) -> list[str]:
    return [text for text in lab.zones.get(DOMAIN, "TXT") if text.startswith("v=spf1")]


async def test_what_breaks_is_one_record_and_the_fix_mends_it(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lab.zones.get(DOMAIN, "TXT")
    (right,) = spf_records(lab)
    await break_record(Narrator(), lab)
    assert spf_records(lab) == [demo_story.BROKEN_SPF]
    assert len(lab.zones.get(DOMAIN, "TXT")) == len(before)
    fix = {
        "action": "Replace",
        "name": DOMAIN,
        "type": "TXT",
        "value": right,
        "remove": [{"name": DOMAIN, "type": "TXT", "value": demo_story.BROKEN_SPF}],
    }
    apply_fix(Narrator(), lab, status_with(fix))
    assert sorted(lab.zones.get(DOMAIN, "TXT")) == sorted(before)
    told = capsys.readouterr().out
    assert f"  {DOMAIN} TXT {demo_story.BROKEN_SPF}\n" in told
    assert f"  + {DOMAIN} TXT {right}\n" in told


def status_with(*fixes: dict[str, Any]) -> object:
    findings = [
        {"code": "SPF_MISSING_INCLUDE", "severity": "Error", "message": "It lacks one.", "fix": fix}
        for fix in fixes
    ]
    return parse_status(Kind.SENDING_DOMAIN, {"findings": findings})


@pytest.mark.parametrize("fixes", [(), ({"action": "Wait"},)])
def test_without_a_fix_that_can_be_applied_the_story_fails(
    fixes: tuple[dict[str, Any], ...], lab: Lab
) -> None:
    with pytest.raises(DemoFailed, match="no finding offers a fix"):
        apply_fix(Narrator(), lab, status_with(*fixes))


async def test_what_does_not_happen_ends_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_story, "_PATIENCE", 0.0)
    seen: list[bool] = []

    async def look() -> bool:
        seen.append(True)
        return False

    await demo_story.until(look, False, "nothing happens")
    assert seen == [True]
    with pytest.raises(DemoFailed, match="did not happen in time that the fix works"):
        await demo_story.until(look, True, "the fix works")


def test_chapters_are_told_with_their_time_and_lines_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    narrator = Narrator()
    narrator.chapter("[It] begins.")
    narrator.line("a line [with] brackets " + "x" * 300)
    told = capsys.readouterr().out
    assert "[  0.0 s] [It] begins.\n" in told
    assert f"a line [with] brackets {'x' * 300}\n" in told
