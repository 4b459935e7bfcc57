# SPDX-License-Identifier: Apache-2.0
"""The alerts as data: one source, metrics and words that exist, a page and cases for each.

That they fire is shown by tests/lab/test_alerts.py.
"""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from postroom.api.account_messages import MessageOutcome
from postroom.api.conditions import ConditionType
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.sendingdomain_status import Verification
from postroom.cli.explain import entries
from postroom.controller import run as operator
from postroom.controller.inbound import figures
from postroom.controller.inbound.figures import Figures
from postroom.controller.object_metrics import METRICS
from postroom.controller.shard_objects import OTHERS, OWN
from postroom.metrics import Metrics, WriteResult

ROOT = Path(__file__).resolve().parents[3]
PROMETHEUS = ROOT / "manifests" / "integrations" / "prometheus"
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.load((PROMETHEUS / "rules.yaml").read_text(), Loader=yaml.CSafeLoader)[
        "groups"
    ]
    for rule in group["rules"]
}
#: What a label may say.
VALUES = {
    "kind": {*Kind},
    "type": {*ConditionType},
    "reason": {*Reason},
    "verification": {*Verification},
    "outcome": {*MessageOutcome},
    "code": {*entries()},
    "result": {*WriteResult},
    "part": {OWN, OTHERS},
}


def exported() -> set[str]:
    """The names of all metrics; the gauges of the running operator from where they are declared."""
    own = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
    # Those with labels have no sample before there is somebody to tell of.
    own |= {family.name for family in Metrics().registry.collect() if family.type == "gauge"}
    counted = {f"{family.name}_total" for family in Metrics().registry.collect()}
    told = Figures()
    own |= {sample.name for family in told.registry.collect() for sample in family.samples}
    own |= {family.name for family in told.registry.collect() if family.type == "gauge"}
    own |= {*figures.GAUGES, *figures.ACCOUNTS}
    counted |= {f"{family.name}_total" for family in told.registry.collect()}
    gauges = set(re.findall(r'"(postroom_\w+)"', Path(operator.__file__).read_text()))
    return own | counted | gauges | {*METRICS, "postroom_series_left_out"}


def test_the_resource_is_the_rules() -> None:
    made = runpy.run_path(str(ROOT / "manifests" / "generate.py"))["prometheus_rule"]()
    assert (PROMETHEUS / "prometheusrule.yaml").read_text() == made, "run `make crds`"
    assert yaml.load(made, Loader=yaml.CSafeLoader)["spec"] == yaml.load(
        (PROMETHEUS / "rules.yaml").read_text(), Loader=yaml.CSafeLoader
    )


@pytest.mark.parametrize("name", RULES)
def test_an_alert_asks_for_what_there_is(name: str) -> None:
    expression = RULES[name]["expr"]
    assert set(re.findall(r"postroom_\w+", expression)) <= exported()
    for label, text in re.findall(r'(\w+)=~?"([^"]+)"', expression):
        assert set(text.split("|")) <= VALUES[label], text


@pytest.mark.parametrize("name", RULES)
def test_an_alert_has_a_page_a_severity_and_two_cases(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    page = (RUNBOOKS / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    assert re.findall("^## (.+)$", page, re.MULTILINE) == ["Look", "Do", "It ends"]
    row = f"| [{name}]({name}.md) | {rule['labels']['severity']} | {rule['for']} |"
    assert row in (RUNBOOKS / "README.md").read_text()
    groups = yaml.load((PROMETHEUS / "rules.test.yaml").read_text(), Loader=yaml.CSafeLoader)[
        "tests"
    ]
    (cases,) = (group["alert_rule_test"] for group in groups if group["name"] == name)
    assert [(case["alertname"], "exp_alerts" in case) for case in cases] == [
        (name, False),
        (name, True),
    ]


def test_no_page_is_left_over() -> None:
    assert {path.stem for path in RUNBOOKS.iterdir()} == {*RULES, "README"}


def test_names_in_the_cluster_stay_those_of_the_objects() -> None:
    monitor = yaml.load((PROMETHEUS / "podmonitor.yaml").read_text(), Loader=yaml.CSafeLoader)[
        "spec"
    ]
    install = ROOT / "manifests" / "install" / "base" / "deployment.yaml"
    pod = yaml.load(install.read_text(), Loader=yaml.CSafeLoader)["spec"]["template"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["honorLabels"] is True
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    ports = [port["name"] for port in pod["spec"]["containers"][0]["ports"]]
    assert endpoint["port"] in ports
