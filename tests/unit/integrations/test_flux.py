# SPDX-License-Identifier: Apache-2.0
"""Flux' expressions on every captured state, in CEL.

Covers: the state map; objects that no operator wrote, on which nothing may be an error, which Flux
would repeat until its timeout; that the kinds have the same. That Flux' own evaluator agrees, and
takes the Kustomization, is shown by tests/cluster/test_state_map.py.
"""

from typing import Any

import cel
import pytest
import yaml
from hypothesis import given

from kstatus import flux_health
from postroom.api.names import API_VERSION, Kind
from state_map import CASES, INTEGRATIONS, Case, State
from unit.integrations.hostile import OBJECTS, is_ready

MANIFEST = yaml.load(
    (INTEGRATIONS / "flux" / "fail-fast.yaml").read_text(), Loader=yaml.CSafeLoader
)
CHECKS = {check["kind"]: check for check in MANIFEST["spec"]["healthCheckExprs"]}


def health(obj: dict[str, Any]) -> str:
    """What Flux makes of an object: the generation first, then what fails, then what is current."""
    observed = obj.get("status", {}).get("observedGeneration")
    if observed is not None and observed != obj["metadata"].get("generation"):
        return "InProgress"
    check = CHECKS[obj["kind"]]
    # Every object of ours has a status, by its definition: without one `has` is an error of Flux.
    for expression, word in (("failed", "Failed"), ("current", "Current")):
        said = cel.evaluate(check[expression], obj)
        assert isinstance(said, bool)
        if said:
            return word
    return "InProgress"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_health_is_what_the_map_says(case: Case) -> None:
    obj = case.captured()
    assert (health(obj), flux_health(obj)) == (case.row.flux, case.row.flux)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    "status",
    [
        {},
        {"observedGeneration": 1},
        {"observedGeneration": 1, "conditions": []},
        {"observedGeneration": 1, "conditions": [{"type": "Other", "status": "True"}]},
        {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "Unknown"}]},
        {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 0}]},
        {"conditions": [{"type": "Ready", "status": "True"}]},
        {"conditions": [{"type": "Ready", "status": "False", "observedGeneration": 0}]},
        {"conditions": [{"status": "True", "observedGeneration": 1}]},
        {"conditions": [{"type": "Stalled"}, {"type": "Ready"}]},
        {
            "conditions": [
                {"type": "Ready", "status": "True", "observedGeneration": 1},
                {"type": "Reconciling", "status": "True", "observedGeneration": 1},
            ]
        },
    ],
)
def test_what_nobody_judged_is_in_progress(kind: Kind, status: dict[str, Any]) -> None:
    obj = {"kind": kind.value, "metadata": {"name": "a", "generation": 1}, "status": status}
    assert health(obj) == "InProgress"


@given(OBJECTS)
def test_no_status_is_an_error_and_none_is_current_but_what_is_ready(obj: dict[str, Any]) -> None:
    said = {
        name: cel.evaluate(CHECKS[obj["kind"]][name], {"status": {}, **obj})
        for name in ("failed", "current")
    }
    assert said["current"] is is_ready(obj)
    assert said["failed"] in (True, False)
    assert not (said["failed"] and said["current"])


def test_what_was_shown_before_was_true_of_an_empty_list() -> None:
    obj = {"metadata": {"generation": 1}, "status": {"conditions": []}}
    before = "status.conditions.filter(c, c.type == 'Ready').all(c, c.status == 'True')"
    assert cel.evaluate(before, obj) is True


def test_a_condition_that_is_not_true_holds_nothing_up() -> None:
    obj = Case(Kind.MAIL_SERVER, State.REGRESSED).captured()
    obj["status"]["conditions"].append({"type": "Reconciling", "status": "False"})
    assert health(obj) == "Failed"


def test_all_kinds_have_the_same_expressions() -> None:
    assert {(check["apiVersion"], kind) for kind, check in CHECKS.items()} == {
        (API_VERSION, kind.value) for kind in Kind
    }
    assert len({(check["failed"], check["current"]) for check in CHECKS.values()}) == 1
    assert MANIFEST["spec"]["wait"] is True
