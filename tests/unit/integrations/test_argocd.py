# SPDX-License-Identifier: Apache-2.0
"""Argo CD's scripts on every captured state, in Lua with the libraries that Argo CD opens.

Covers: upstream's layout; health as the state map says, and on objects that no operator wrote;
which actions are open when, and that each changes what it is for and nothing else; the ConfigMap.
That Argo CD's own Lua engine says the same is shown by tests/cluster/test_state_map.py, and that an
operator answers the actions by tests/cluster/test_argocd.py.
"""

import copy
import re
import runpy
from typing import Any

import pytest
import yaml
from hypothesis import given
from lupa import lua51

import customizations
import lua
from customizations import CHANGES, MOMENT, actions_of, open_actions
from postroom.api.names import GROUP, Kind
from state_map import CASES, CUSTOMIZATIONS, INTEGRATIONS, ROOT, Case, State
from unit.integrations.hostile import OBJECTS, is_ready, same

ARGOCD = INTEGRATIONS / "argocd"
KINDS = pytest.mark.parametrize("kind", Kind)
EACH = pytest.mark.parametrize("case", CASES, ids=str)


def script(kind: Kind, name: str) -> str:
    return (CUSTOMIZATIONS / kind / name).read_text()


def health(case_kind: Kind, obj: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = lua.run(script(case_kind, "health.lua"), obj)
    return said


def act(case: Case, action: str) -> dict[str, Any]:
    """The object after an action, with a fixed time for the one at which it was taken."""
    made = lua.run(script(case.kind, f"actions/{action}/action.lua"), case.captured())
    annotations = made["metadata"].get("annotations", {})
    for name in set(annotations) & set(CHANGES[action].get("metadata", {}).get("annotations", {})):
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", annotations[name])
        annotations[name] = MOMENT
    assert isinstance(made, dict)
    return made


# -- layout ---------------------------------------------------------------------------------------


def test_the_layout_is_upstreams() -> None:
    expected = set()
    for kind in Kind:
        own = {
            "health.lua",
            "health_test.yaml",
            "actions/discovery.lua",
            "actions/action_test.yaml",
        }
        own |= {f"testdata/{case.state}.yaml" for case in CASES if case.kind is kind}
        for name in actions_of(kind):
            own |= {f"actions/{name}/action.lua", f"actions/testdata/{name}.yaml"}
        expected |= {f"{kind}/{name}" for name in own}
    files = (path for path in CUSTOMIZATIONS.rglob("*") if path.is_file())
    assert {str(path.relative_to(CUSTOMIZATIONS)) for path in files} == expected


@pytest.mark.parametrize(
    "name", ["health.lua", *(f"actions/{name}/action.lua" for name in CHANGES)]
)
def test_a_script_is_one_for_all_kinds(name: str) -> None:
    places = [CUSTOMIZATIONS / kind / name for kind in Kind]
    assert len({place.read_text() for place in places if place.exists()}) == 1


# -- health ---------------------------------------------------------------------------------------


@EACH
def test_health_is_what_the_map_says(case: Case) -> None:
    assert health(case.kind, case.captured()) == customizations.health(case)


@KINDS
def test_upstreams_test_holds_every_state(kind: Kind) -> None:
    entries = yaml.load(script(kind, "health_test.yaml"), Loader=yaml.CSafeLoader)["tests"]
    seen = [case for case in CASES if case.kind is kind]
    assert entries == [
        {"healthStatus": customizations.health(case), "inputPath": f"testdata/{case.state}.yaml"}
        for case in seen
    ]
    assert {entry["healthStatus"]["status"] for entry in entries} == {
        *("Progressing", "Healthy", "Degraded", "Suspended")
    }


ODD_STATUSES: list[dict[str, Any] | None] = [
    None,
    {},
    {"observedGeneration": 1},
    {"observedGeneration": 1, "conditions": []},
    {"observedGeneration": 1, "conditions": [{"type": "Other", "status": "True"}]},
    {
        "observedGeneration": 1,
        "conditions": [{"type": "Ready", "status": "Unknown", "message": "?"}],
    },
    {"conditions": [{"type": "Ready", "status": "True", "message": "of nobody knows when"}]},
    {
        "observedGeneration": 0,
        "conditions": [{"type": "Ready", "status": "True", "message": "old"}],
    },
]


@KINDS
@pytest.mark.parametrize("status", ODD_STATUSES)
def test_what_nobody_judged_is_progressing(kind: Kind, status: dict[str, Any] | None) -> None:
    obj: dict[str, Any] = {"kind": kind, "metadata": {"name": "a", "generation": 1}, "spec": {}}
    said = health(kind, obj if status is None else obj | {"status": status})
    assert said["status"] == "Progressing"
    assert said["message"]


GOOD = {"type": "Ready", "status": "True", "observedGeneration": 1, "message": "It is well."}
ODD_CONDITIONS: list[Any] = [
    [{**GOOD, "observedGeneration": 0}],
    [{**GOOD, "observedGeneration": None}],
    [{name: value for name, value in GOOD.items() if name != "observedGeneration"}],
    [{**GOOD, "status": True}],
    [{**GOOD, "status": "False", "observedGeneration": 0}],
    [{"status": "True", "observedGeneration": 1}],
    [GOOD, {**GOOD, "status": "False"}],
    [GOOD, None, {"type": "Reconciling", "status": "True"}],
    "Ready",
    {"Ready": "True"},
    ["Ready", 1, True],
]


@KINDS
@pytest.mark.parametrize("conditions", ODD_CONDITIONS, ids=str)
def test_what_is_not_about_the_spec_of_now_is_progressing(kind: Kind, conditions: Any) -> None:
    status = {"observedGeneration": 1, "conditions": conditions}
    said = health(kind, {"metadata": {"generation": 1}, "spec": {}, "status": status})
    assert said["status"] == "Progressing"
    assert isinstance(said["message"], str)


@KINDS
def test_without_generations_nothing_is_equal(kind: Kind) -> None:
    condition = {"type": "Ready", "status": "True", "message": "of nobody knows what"}
    obj = {"metadata": {"name": "a"}, "spec": {}, "status": {"conditions": [condition]}}
    assert health(kind, obj)["status"] == "Progressing"


@KINDS
@pytest.mark.parametrize("odd", [{}, [], {"type": 1}, {"type": None}, "Ready", 3, True])
def test_what_else_is_in_the_list_hides_nothing(kind: Kind, odd: Any) -> None:
    obj = {"metadata": {"generation": 1}, "spec": {}}
    for good, stalled in ((GOOD, False), ({**GOOD, "status": "False"}, True)):
        also = [{"type": "Stalled", "status": "True"}] if stalled else []
        status = {"observedGeneration": 1, "conditions": [odd, *also, good]}
        said = health(kind, {**obj, "status": status})["status"]
        assert said == ("Degraded" if stalled else "Healthy")


@given(OBJECTS)
def test_no_status_is_an_error_and_none_is_healthy_but_what_is_ready(obj: dict[str, Any]) -> None:
    said = health(Kind(obj["kind"]), obj)
    assert said.keys() == {"status", "message"}
    assert isinstance(said["message"], str)
    assert said["status"] in ("Progressing", "Healthy", "Degraded", "Suspended")
    observed = obj.get("status", {}).get("observedGeneration")
    current = same(observed, obj["metadata"].get("generation"))
    if said["status"] == "Healthy":
        assert current and is_ready(obj)
    elif current and is_ready(obj):
        assert said["status"] == "Suspended" or has_twice(obj)


def test_lists_that_are_one_object_here_are_seen_as_two() -> None:
    shared: list[Any] = []
    conditions = [{"type": None, "message": "A sentence.", "status": shared}, shared]
    status = {"observedGeneration": 1, "conditions": conditions}
    said = health(Kind.SENDING_DOMAIN, {"metadata": {}, "status": status})
    assert said["status"] == "Progressing"


def has_twice(obj: dict[str, Any]) -> bool:
    """Whether two conditions are of one type, which says nothing."""
    found = [each.get("type") for each in obj["status"]["conditions"] if isinstance(each, dict)]
    known = [str(each) for each in found if each is not None]
    return len(set(known)) < len(known)


@EACH
def test_the_order_of_conditions_says_nothing(case: Case) -> None:
    obj = case.captured()
    obj["status"]["conditions"].reverse()
    assert health(case.kind, obj) == customizations.health(case)


# -- actions --------------------------------------------------------------------------------------


@EACH
def test_actions_are_open_where_they_do_something(case: Case) -> None:
    said = lua.run(script(case.kind, "actions/discovery.lua"), case.captured())
    assert said.keys() == {*actions_of(case.kind)}
    assert {name for name, action in said.items() if not action["disabled"]} == open_actions(case)


def test_only_a_mailbox_that_is_read_is_synced() -> None:
    obj = Case(Kind.EMAIL_ACCOUNT, State.VERIFIED).captured()
    discovery = script(Kind.EMAIL_ACCOUNT, "actions/discovery.lua")
    del obj["spec"]["imap"]
    assert lua.run(discovery, obj)["sync"]["disabled"] is True
    obj["spec"]["provider"] = "GoogleWorkspace"
    assert lua.run(discovery, obj)["sync"]["disabled"] is False


@EACH
def test_an_action_changes_what_it_is_for_and_nothing_else(case: Case) -> None:
    for action in actions_of(case.kind):
        before = case.captured()
        assert act(case, action) == customizations.merged(copy.deepcopy(before), CHANGES[action])


@KINDS
def test_upstreams_tests_of_actions_hold(kind: Kind) -> None:
    place = CUSTOMIZATIONS / kind / "actions"
    tests = yaml.load((place / "action_test.yaml").read_text(), Loader=yaml.CSafeLoader)
    assert tests == customizations.actions_test(kind)
    for test in tests["discoveryTests"]:
        obj = yaml.load((place / test["inputPath"]).read_text(), Loader=yaml.CSafeLoader)
        said = lua.run(script(kind, "actions/discovery.lua"), obj)
        assert [said[entry["name"]] | {"name": entry["name"]} for entry in test["result"]] == test[
            "result"
        ]
    for test in tests["actionTests"]:
        expected = yaml.load(
            (place / test["expectedOutputPath"]).read_text(), Loader=yaml.CSafeLoader
        )
        assert act(Case(kind, State((place / test["inputPath"]).stem)), test["action"]) == expected


def test_what_actions_write_is_what_pages_name() -> None:
    pages = (ROOT / "docs" / "status.md").read_text() + (ROOT / "docs" / "messages.md").read_text()
    for change in CHANGES.values():
        for annotation in change.get("metadata", {}).get("annotations", {}):
            assert annotation.startswith(f"{GROUP}/")
            assert annotation in pages
        assert change.get("spec", {}).keys() <= {"suspend"}


# -- the libraries and the ConfigMap --------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["string.len('a')", "('a'):len()", "os.time()", "io.open('/etc/passwd')", "math.pi"]
)
def test_what_argo_cd_leaves_out_is_left_out_here(text: str) -> None:
    with pytest.raises(lua51.LuaError):
        lua.run(f"return {{{text}}}", {})


def test_the_config_map_is_the_scripts() -> None:
    made = runpy.run_path(str(ROOT / "manifests" / "generate.py"))["argocd_cm"]()
    assert (ARGOCD / "argocd-cm.yaml").read_text() == made, "run `make crds`"
    data = yaml.load(made, Loader=yaml.CSafeLoader)["data"]
    assert data.keys() == {
        f"resource.customizations.{what}.{GROUP}_{kind}"
        for kind in Kind
        for what in ("health", "actions")
    }
    for kind in Kind:
        assert data[f"resource.customizations.health.{GROUP}_{kind}"] == script(kind, "health.lua")
        actions = yaml.load(
            data[f"resource.customizations.actions.{GROUP}_{kind}"], Loader=yaml.CSafeLoader
        )
        assert actions["discovery.lua"] == script(kind, "actions/discovery.lua")
        assert {each["name"]: each["action.lua"] for each in actions["definitions"]} == {
            name: script(kind, f"actions/{name}/action.lua") for name in actions_of(kind)
        }
