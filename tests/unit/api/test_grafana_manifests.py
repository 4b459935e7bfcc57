# SPDX-License-Identifier: Apache-2.0
"""The dashboard as data: panels that say what they show, in order, of one data source, and queries
for what there is. That each query returns something is shown by tests/lab/test_dashboard.py."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from postroom.api.account_messages import MessageOutcome
from postroom.api.conditions import ConditionType
from postroom.api.findings import Severity
from postroom.api.names import Kind
from postroom.api.sendingdomain_status import Verification
from postroom.cli.explain import entries
from postroom.controller.object_metrics import METRICS
from postroom.metrics import WriteResult
from promql import DASHBOARD, alerts, metrics_of, panels, substituted, unknown_in

BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text())
PANELS: list[dict[str, Any]] = BOARD["panels"]
SHOWN = [panel for panel in PANELS if panel["type"] != "row"]
VARIABLES = {variable["name"] for variable in BOARD["templating"]["list"]}
#: What a label may say.
VALUES = {
    "type": {*ConditionType},
    "verification": {*Verification},
    "outcome": {*MessageOutcome},
    "code": {*entries()},
    "severity": {*Severity},
    "kind": {*Kind},
    "result": {*WriteResult},
    "alertstate": {"firing", "pending"},
}


def test_a_panel_says_what_it_shows_and_has_a_place_of_its_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert all(panel["title"] and panel["description"] for panel in SHOWN)
    titles = [panel["title"] for panel in PANELS]
    assert len(set(titles)) == len(titles)


def test_all_ask_the_data_source_that_was_chosen() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert all(panel["datasource"] == chosen for panel in SHOWN)
    assert all(each["datasource"] == chosen for panel in SHOWN for each in panel["targets"])
    queried = [each for each in BOARD["templating"]["list"] if each["type"] == "query"]
    assert [each["datasource"] for each in queried] == [chosen] * len(queried)


def test_variables_are_declared() -> None:
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(BOARD)))
    assert used == VARIABLES


def test_columns_are_those_of_the_queries() -> None:
    """A table renames what its queries return: a label, or the value of one of them."""
    for panel in SHOWN:
        for step in panel.get("transformations", ()):
            if step["id"] != "organize":
                continue
            queries = panel["targets"]
            text = " ".join(target["expr"] for target in queries)
            values = (
                ["Value"] if len(queries) == 1 else [f"Value #{each['refId']}" for each in queries]
            )
            renamed = set(step["options"]["renameByName"])
            assert set(values) <= renamed, panel["title"]
            labels = renamed - set(values)
            assert labels == {each for each in labels if re.search(rf"\b{each}\b", text)}
            shown = set(step["options"]["renameByName"].values())
            formats = {each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]}
            assert formats <= shown, panel["title"]
            assert {each["displayName"] for each in panel["options"]["sortBy"]} <= shown


@pytest.mark.parametrize(("title", "query"), list(panels()))
def test_a_query_asks_for_what_there_is(title: str, query: str) -> None:
    for label, text in re.findall(r'(\w+)[!=]~?"([^"]+)"', query):
        if label in VALUES and text != ".*":
            assert set(text.split("|")) <= VALUES[label], (title, text)
    assert metrics_of(query), title


def test_every_metric_of_objects_is_shown() -> None:
    shown = set().union(*(metrics_of(query) for _, query in panels()))
    assert {*METRICS, "postroom_series_left_out"} <= shown


def test_what_a_query_names_in_vain_is_seen() -> None:
    known = {"a": frozenset({"x", "instance"}), "b": frozenset({"y"})}
    assert unknown_in('topk(3, sum by (x) (rate(a{x="1"}[5m])))', known) == []
    assert unknown_in("sum by (instance) (sum without (x) (a))", known) == []
    assert unknown_in("sum(c)", known) == ["c"]
    for query in (
        'a{z="1"}',
        "sum by (y) (a)",
        "a and on (x) b",
        "sum by (x) (sum by (instance) (a))",
        'label_replace(a, "q", "$1", "y", "(.*)")',
        'sum by (r) (label_replace(a, "q", "$1", "x", "(.*)"))',
        "histogram_quantile(0.5, sum by (le) (rate(a[5m])))",
        "-(sum by (y) (a))",
        "count(sum by (y) (a)) or vector(0)",
        "sum by (x) (sum without (x) (a))",
        "sum without (y) (a)",
    ):
        assert len(unknown_in(query, known)) == 1, query


def test_alerts_are_read_as_well() -> None:
    assert all(metrics_of(expression) for _, expression in alerts())
    assert substituted('x{namespace=~"$namespace"}[$__rate_interval]') == 'x{namespace=~".*"}[5m]'


def test_grafana_finds_it_by_its_label() -> None:
    made = yaml.load((DASHBOARD.parent / "kustomization.yaml").read_text(), Loader=yaml.CSafeLoader)
    (generated,) = made["configMapGenerator"]
    assert made["kind"] == "Component"
    assert generated["files"] == [DASHBOARD.name]
    assert generated["options"]["labels"]["grafana_dashboard"] == "1"
    assert generated["options"]["disableNameSuffixHash"] is True
