# SPDX-License-Identifier: Apache-2.0
"""A small soak of inbound delivery: one process, a fault of every kind, nothing lost.

`make soak` is the large one.
"""

from __future__ import annotations

from pathlib import Path

from postroom.lab.controlplane import ControlPlane
from soak.soak import SMALL, Soak


def test_nothing_is_lost_repeated_unsaid_or_out_of_order(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    outcome = Soak(installed, namespace, tmp_path, SMALL, seed=20).run()
    assert (outcome.lost, outcome.wrong) == ([], []), str(outcome)
    assert outcome.taken >= SMALL.messages - 1
    kinds = {"hang up", "expunge", "key", "service", "anew"}
    assert kinds <= set(outcome.faults), str(outcome)
