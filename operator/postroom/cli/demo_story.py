# SPDX-License-Identifier: Apache-2.0
"""What both ways of telling the story of ``postroom demo`` share: who tells it, and its turns."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from postroom.api.names import Key, Kind
from postroom.api.sendingdomain import SendingDomainStatus
from postroom.cli import terminal
from postroom.dns import spf
from postroom.dns.judging.fixes import as_removed
from postroom.lab.lab import Lab

#: In a checkout; the wheel does not carry them.
SAMPLES = Path(__file__).resolve().parents[3] / "manifests" / "samples"
DOMAIN, SENDING_DOMAIN = "send.example.com", Key(Kind.SENDING_DOMAIN, "mail", "send-example-com")
#: What somebody publishes by mistake: the SPF record of a former provider, instead of adding to it.
BROKEN_SPF = "v=spf1 include:spf.old-provider.example.net -all"
_PATIENCE = 20.0


class DemoFailed(Exception):
    """The story did not go as it should; the text is one sentence."""


class Narrator:
    """Prints the chapters of the story with the time that they took."""

    def __init__(self) -> None:
        self.console: Console = terminal.output()
        self._began = time.monotonic()

    def chapter(self, text: str) -> None:
        """Begin a chapter."""
        elapsed = time.monotonic() - self._began
        self.console.print(f"\n[{elapsed:5.1f} s] {text}", style="bold cyan", markup=False)

    def line(self, text: str) -> None:
        """Print something more."""
        self.console.print(text, markup=False, soft_wrap=True)


async def until(look: Callable[[], Any], wanted: bool, what: str) -> None:
    """Look until the answer is as wanted; raises `DemoFailed` after a while."""
    deadline = time.monotonic() + _PATIENCE
    while bool(await look()) is not wanted:
        if time.monotonic() > deadline:
            raise DemoFailed(f"it did not happen in time that {what}.")
        await asyncio.sleep(0.5)


async def break_record(narrator: Narrator, lab: Lab) -> None:
    """Let somebody replace the SPF record of the domain."""
    narrator.chapter(f"Somebody replaces the SPF record of {DOMAIN}:")
    narrator.line(f"  {DOMAIN} TXT {BROKEN_SPF}")
    others = [text for text in lab.zones.get(DOMAIN, "TXT") if not spf.is_spf(text)]
    lab.zones.replace(DOMAIN, "TXT", [*others, BROKEN_SPF])


def apply_fix(narrator: Narrator, lab: Lab, status: object) -> None:
    """Do to the zone what the first finding's fix says."""
    findings = status.findings if isinstance(status, SendingDomainStatus) else []
    fix = next((finding.fix for finding in findings if finding.fix is not None), None)
    if fix is None or not fix.value:
        raise DemoFailed("no finding offers a fix.")
    for gone in fix.remove:
        there = lab.zones.get(gone.name, gone.type)
        lab.zones.replace(
            gone.name, gone.type, [text for text in there if as_removed(text) != gone.value]
        )
        narrator.line(f"  - {gone.name} {gone.type} {gone.value}")
    lab.zones.add(fix.name, fix.type, fix.value)
    narrator.line(f"  + {fix.name} {fix.type} {fix.value}")
