# SPDX-License-Identifier: Apache-2.0
"""The exit code of ``postroom check``: the worst of what there is."""

from __future__ import annotations

from typing import Any, cast

import pytest

from postroom.api.names import Key, Kind
from postroom.api.resource import parse_status
from postroom.api.status import CommonStatus
from postroom.cli.check import exit_code
from postroom.cli.directory import DirectoryWorld
from postroom.cli.manifests import Manifests
from postroom.cli.options import ExitCode
from postroom.cli.yaml_documents import Complaint, Manifest

SINCE = {"lastTransitionTime": "2026-11-21T10:00:00Z", "observedGeneration": 1, "message": ""}
READY = {"type": "Ready", "status": "True", "reason": "Succeeded", **SINCE}
BROKEN = {**READY, "status": "False", "reason": "RecordNotFound"}
UNKNOWN = {**READY, "status": "Unknown", "reason": "DNSUnavailable"}
SUSPENDED = {"type": "Suspended", "status": "True", "reason": "Suspended", **SINCE}


class World:
    """Holds one status per list of conditions."""

    def __init__(self, *statuses: list[dict[str, Any]]) -> None:
        self._statuses = statuses

    def statuses(self) -> list[tuple[Key, CommonStatus]]:
        kind = Kind.SENDING_DOMAIN
        return [
            (Key(kind, "mail", str(number)), parse_status(kind, {"conditions": conditions}))
            for number, conditions in enumerate(self._statuses)
        ]


def code(*statuses: list[dict[str, Any]], found: Manifests | None = None) -> int:
    some = Manifests({Key(Kind.SENDING_DOMAIN, "mail", "0"): Manifest("file", {}, {})})
    return exit_code(found or some, cast("DirectoryWorld", World(*statuses)))


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        ([[READY], [READY]], ExitCode.READY),
        ([[READY], [UNKNOWN], [BROKEN]], ExitCode.NOT_READY),
        ([[READY], [UNKNOWN]], ExitCode.COULD_NOT_LOOK),
        ([[READY], []], ExitCode.COULD_NOT_LOOK),
        ([[READY], [BROKEN, SUSPENDED]], ExitCode.READY),
        ([[SUSPENDED]], ExitCode.READY),
    ],
)
def test_the_worst_counts(statuses: list[list[dict[str, Any]]], worst: int) -> None:
    assert code(*statuses) == worst


def test_bad_input_is_worse_than_anything() -> None:
    assert code([BROKEN], found=Manifests()) == ExitCode.BAD_INPUT
    some = {Key(Kind.SENDING_DOMAIN, "mail", "0"): Manifest("file", {}, {})}
    odd = Manifests(some, complaints=[Complaint("file", 1, "is odd")])
    assert code([READY], found=odd) == ExitCode.BAD_INPUT
