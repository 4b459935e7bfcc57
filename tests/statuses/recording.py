# SPDX-License-Identifier: Apache-2.0
"""A plugin of pytest: what every world of the unit tests writes into status, test by test.

A test is known by its name alone, so that its file may be moved.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unit.reconcile.domain_worlds import Domain
from unit.reconcile.mail_worlds import MailWorld
from unit.reconcile.tenants import Tenants

_UNIT = Path(__file__).resolve().parents[1] / "unit"

Statuses = list[dict[str, Any]]


class Recorder:
    """Keeps, by test, every status that was stored."""

    def __init__(self) -> None:
        self.worlds: list[tuple[str, Statuses]] = []

    def keep(self, key: object, status: Any) -> None:
        """Note a status; those of worlds that are made on import belong to no test."""
        if self.worlds:
            self.worlds[-1][1].append({"object": str(key), "status": status})

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what makes up worlds of its own at every run."""
        items[:] = [item for item in items if item.get_closest_marker("hypothesis") is None]

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        random.seed(0)
        self.worlds.append((f"unit test: {item.name}", []))

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Listen to the worlds of the tests."""
        keep = self.keep
        mail_look, tenant_look, domain_look = MailWorld.look, Tenants.evaluate, Domain.look

        async def look(world: MailWorld, key: Any, *args: Any, **more: Any) -> Any:
            status = await mail_look(world, key, *args, **more)
            keep(key, world.objects[key]["status"])
            return status

        def evaluate(world: Tenants, key: Any, *args: Any, **more: Any) -> Any:
            status = tenant_look(world, key, *args, **more)
            keep(key, world.objects[key]["status"])
            return status

        def look_at(domain: Domain, *args: Any, **more: Any) -> Any:
            state = domain_look(domain, *args, **more)
            keep("domain", domain.stored)
            return state

        patch.setattr(MailWorld, "look", look)
        patch.setattr(Tenants, "evaluate", evaluate)
        patch.setattr(Domain, "look", look_at)


def all_worlds() -> Iterator[tuple[str, Statuses]]:
    """Every test that stores a status, by its name."""
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        recorder.install(patch)
        failed = pytest.main(
            [
                "-q",
                "-W",
                "ignore::pytest.PytestAssertRewriteWarning",
                "-p",
                "no:cacheprovider",
                str(_UNIT / "reconcile"),
            ],
            plugins=[recorder],
        )
    if failed:
        raise SystemExit("The unit tests do not pass: their worlds say nothing.")
    yield from (
        (name, statuses) for name, statuses in sorted(recorder.worlds, key=_by_name) if statuses
    )


def _by_name(world: tuple[str, Statuses]) -> str:
    return world[0]
