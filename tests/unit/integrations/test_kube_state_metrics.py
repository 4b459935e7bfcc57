# SPDX-License-Identifier: Apache-2.0
"""The config for kube-state-metrics: its paths are fields of our kinds, and every captured state
gives the series that it promises.

kube-state-metrics is to be had neither as a module nor as a package: tests/kube_state_metrics.py
reads the config as it does.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import yaml

import kube_state_metrics
from kube_state_metrics import Series
from postroom.api.crd import definitions
from postroom.api.names import GROUP, VERSION, Kind
from postroom.api.sendingdomain_status import Verification
from state_map import CASES, INTEGRATIONS, Case

PLACE = INTEGRATIONS / "kube-state-metrics"
CONFIG = yaml.load((PLACE / "custom-resource-state.yaml").read_text(), Loader=yaml.CSafeLoader)
RESOURCES = {each["groupVersionKind"]["kind"]: each for each in CONFIG["spec"]["resources"]}
KINDS = pytest.mark.parametrize("kind", Kind)
METADATA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "generation": {"type": "integer"},
    },
}


def schema(kind: Kind) -> dict[str, Any]:
    (found,) = (each for each in definitions() if each["spec"]["names"]["kind"] == kind)
    (version,) = found["spec"]["versions"]
    whole: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return {**whole, "properties": {**whole["properties"], "metadata": METADATA}}


def field(place: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """The schema at a path; raises `KeyError` where there is no such field."""
    for part in path:
        place = place["properties"][part]
    return place


def seen(case: Case) -> list[Series]:
    return list(kube_state_metrics.series(RESOURCES[case.kind], case.captured()))


def details(metric: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = metric["each"]["type"]
    (name,) = metric["each"].keys() - {"type"}
    assert name == kind[0].lower() + kind[1:]
    return kind, metric["each"][name]


@KINDS
def test_every_path_is_a_field(kind: Kind) -> None:
    whole, resource = schema(kind), RESOURCES[kind]
    for path in resource["labelsFromPath"].values():
        assert field(whole, path)["type"] == "string"
    for metric in resource["metrics"]:
        what, own = details(metric)
        place = field(whole, own.get("path", ()))
        place = place.get("items", place)
        for path in own.get("labelsFromPath", {}).values():
            assert field(place, path)["type"] == "string", metric["name"]
        if what == "Gauge":
            value = field(place, own.get("valueFrom", ()))
            assert value["type"] in {"integer", "number", "string"}, metric["name"]
        if what == "StateSet":
            assert place["type"] == "string"


@KINDS
def test_the_config_is_of_what_there_is(kind: Kind) -> None:
    resource = RESOURCES[kind]
    assert resource["groupVersionKind"] == {"group": GROUP, "version": VERSION, "kind": kind}
    assert resource.keys() == {
        *("groupVersionKind", "metricNamePrefix", "labelsFromPath", "errorLogV", "metrics")
    }
    for metric in resource["metrics"]:
        assert metric.keys() == {"name", "help", "each"}
        assert re.fullmatch(r"[a-z][a-z_]+", metric["name"])
        what, own = details(metric)
        assert own.keys() <= {"path", "labelsFromPath", "valueFrom", "labelName", "list"}
        assert (what == "Info") == metric["name"].endswith("_info")


def test_a_metric_is_of_one_kind_or_the_same_for_all() -> None:
    metrics: dict[str, Any] = {}
    for resource in RESOURCES.values():
        for metric in resource["metrics"]:
            assert metrics.setdefault(metric["name"], metric) == metric
    (states,) = (
        details(each)[1] for each in metrics.values() if each["each"]["type"] == "StateSet"
    )
    assert states["list"] == [*Verification]


@KINDS
def test_every_metric_has_a_series_of_some_captured_object(kind: Kind) -> None:
    found = {each.name for case in CASES if case.kind is kind for each in seen(case)}
    assert found == {f"kube_postroom_{metric['name']}" for metric in RESOURCES[kind]["metrics"]}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_series_of_a_state_say_it(case: Case) -> None:
    found = seen(case)
    assert len({(each.name, each.labels) for each in found}) == len(found), "a series comes twice"
    conditions = {
        labels["type"]: (labels["status"], value) for labels, value in named(found, "condition")
    }
    assert conditions["Ready"] == (case.row.ready, float(case.row.ready == "True"))
    assert all(conditions[name] == ("True", 1.0) for name in case.row.also)
    about = {
        labels["type"]: value for labels, value in named(found, "condition_observed_generation")
    }
    assert about == {
        condition["type"]: condition["observedGeneration"]
        for condition in case.captured()["status"]["conditions"]
        if "observedGeneration" in condition
    }
    findings = [labels for labels, _ in named(found, "finding_info")]
    assert len(findings) == len(case.captured()["status"].get("findings", []))
    for labels, _ in named(found, "condition"):
        assert {"namespace", "name", "type", "status", "reason"} == labels.keys()


def named(found: list[Series], name: str) -> Iterator[tuple[dict[str, str], float]]:
    for each in found:
        if each.name == f"kube_postroom_status_{name}":
            yield dict(each.labels), each.value


def test_rights_are_to_list_and_watch_what_the_config_names() -> None:
    role, binding = yaml.load_all((PLACE / "rbac.yaml").read_text(), Loader=yaml.CSafeLoader)
    assert {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    } == {
        **{(GROUP, kind.plural): {"list", "watch"} for kind in Kind},
        ("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"},
    }
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
