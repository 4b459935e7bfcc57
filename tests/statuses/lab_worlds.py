# SPDX-License-Identifier: Apache-2.0
"""The samples, good and broken, on the lab: real sessions over loopback, real zones."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from loopback import own_address
from postroom.cli import manifests
from postroom.cli.check import AT_ONCE, objects_of, world_of
from postroom.cli.demo import settings_for
from postroom.lab.lab import Lab
from unit.reconcile.assessments import NOW

_SAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "samples"
_PLACES = {"samples": _SAMPLES, "broken samples": _SAMPLES / "broken"}
#: What is of the hour of the run: certificates and messages are made anew for each lab.
_OF_THE_LAB = ("notAfter", "notBefore", "chainNotAfter", "newestTime", "defaultSince")
_SERIAL = re.compile(r"#[\w-]{16}")

Statuses = list[dict[str, Any]]


class _Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


def all_worlds() -> Iterator[tuple[str, Statuses]]:
    """Every directory by its name, with the statuses after each of two looks."""
    logging.getLogger("mail.log").setLevel(
        logging.CRITICAL
    )  # the broken samples break sessions off
    for name, place in _PLACES.items():
        random.seed(0)
        with tempfile.TemporaryDirectory() as state:
            yield f"lab: {name}", asyncio.run(_looked(place, Path(state)))


async def _looked(place: Path, state: Path) -> Statuses:
    seen: Statuses = []
    clock = _Clock()
    address = own_address(1)
    async with Lab(state, address=address) as lab:
        (state / "lab-ca.yaml").write_text(lab.ca_manifest())
        found = manifests.load([place, state / "lab-ca.yaml"], "default")
        world = world_of(found, settings_for(lab))
        world.now = clock.now  # type: ignore[method-assign]
        for _ in range(2):
            await world.check(AT_ONCE)
            seen += [
                {
                    "object": one["metadata"],
                    "kind": one["kind"],
                    "status": _steady(one["status"], address),
                }
                for one in objects_of(world)
            ]
            clock.time += timedelta(minutes=15)
        await world.outbound.close()
    return seen


def _steady(value: Any, address: str) -> Any:
    """A status without what differs from one lab to the next."""
    if isinstance(value, dict):
        return {key: _steady(one, address) for key, one in value.items() if key not in _OF_THE_LAB}
    if isinstance(value, list):
        return [_steady(one, address) for one in value]
    if isinstance(value, str):
        return _SERIAL.sub("#serial", value.replace(address, "127.0.0.1"))
    return value
