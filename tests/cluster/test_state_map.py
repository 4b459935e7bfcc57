# SPDX-License-Identifier: Apache-2.0
"""The state map of docs/status.md on a real API server with a real operator, and what consumers
with code of their own make of it: kstatus, Flux' evaluator, Argo CD's Lua.

Covers: every state of every kind comes about, and is what was captured but for how it is put; each
consumer's word on each. `make states` captures anew.
"""

import os
from collections.abc import Iterator

import pytest

import customizations
from cluster.conftest import new_namespace
from cluster.consuming import Consumers
from cluster.lab_process import LabProcess
from cluster.stating import Stage
from kstatus import argo_health, compute, conditions_of, flux_health, lint
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from state_map import CASES, INTEGRATIONS, Case, Raw, State, differences, without_accidents

FLUX = INTEGRATIONS / "flux" / "fail-fast.yaml"


@pytest.fixture(scope="module")
def live(
    installed: ControlPlane, lab: LabProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Case, Raw]]:
    """An object of each kind in each state, as the API server serves it."""
    with new_namespace(installed) as namespace:
        stage = Stage(installed, lab, namespace, tmp_path_factory.mktemp("stage"))
        stage.play()
        if os.environ.get("POSTROOM_CAPTURE"):
            customizations.write(stage.captured)
        yield stage.captured


@pytest.fixture(scope="module")
def consumers() -> Consumers:
    return Consumers.obtain_or_skip()


def test_each_state_is_what_was_captured(live: dict[Case, Raw]) -> None:
    assert live.keys() == {*CASES}
    found = [
        f"{case}{difference}"
        for case, obj in live.items()
        for difference in differences(without_accidents(obj), without_accidents(case.captured()))
    ]
    assert found == [], "`make states` captures anew"


def test_each_state_keeps_the_contract(live: dict[Case, Raw]) -> None:
    for case, obj in live.items():
        conditions = conditions_of(obj)
        also = {"Reconciling", "Stalled", "Suspended"} & conditions.keys()
        assert conditions["Ready"]["status"] == case.row.ready, case
        assert also == case.row.also, case
        breaches = ["Ready, but generations differ: {1}"] if case.state is State.EDITED else []
        assert lint(obj) == breaches, case


def test_consumers_say_what_the_map_says(live: dict[Case, Raw], consumers: Consumers) -> None:
    expressions = FLUX.read_text()
    # The script is that of the kind; the program takes a while to start.
    for kind in Kind:
        mine = {case: obj for case, obj in live.items() if case.kind is kind}
        script = (next(iter(mine)).path.parents[1] / "health.lua").read_text()
        answers = consumers.ask(mine.values(), kustomization=expressions, script=script)
        for (case, obj), said in zip(mine.items(), answers, strict=True):
            row = case.row
            assert (said["kstatus"], said["flux"], said["lua"]["status"]) == row[2:], case
            # So does what the tests use in their place.
            assert (compute(obj), flux_health(obj), argo_health(obj)) == row[2:], case
