# SPDX-License-Identifier: Apache-2.0
"""What queries of Prometheus ask for, held against what a scrape has: metrics, and the labels that
each selector, grouping and join names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml
from prometheus_client.parser import text_string_to_metric_families as parsed

INTEGRATIONS = Path(__file__).resolve().parents[1] / "manifests" / "integrations"
DASHBOARD = INTEGRATIONS / "grafana" / "postroom.json"
RULES = INTEGRATIONS / "prometheus" / "rules.yaml"

#: What Prometheus adds to a scrape, and a series of its own.
_OF_THE_SCRAPE = frozenset({"instance", "job"})
ALERTS = {"ALERTS": frozenset({"alertname", "alertstate", "severity", "kind", "namespace", "name"})}
#: What Grafana puts in the place of variables, where all is chosen.
_VARIABLES = {"$__rate_interval": "5m", "$namespace": ".*", "$kind": ".*"}

Labels = Mapping[str, frozenset[str]]


def panels() -> Iterator[tuple[str, str]]:
    """Title and query of each target of the dashboard, as Grafana asks it."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], substituted(target["expr"])


def substituted(query: str) -> str:
    for name, value in _VARIABLES.items():
        query = query.replace(name, value)
    return query


def alerts() -> Iterator[tuple[str, str]]:
    """Name and expression of each alert."""
    for group in yaml.load(RULES.read_text(), Loader=yaml.CSafeLoader)["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def labels_in(scrape: str) -> dict[str, frozenset[str]]:
    """The labels of each metric in the text of a scrape."""
    found: dict[str, frozenset[str]] = dict(ALERTS)
    for family in parsed(scrape):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, _OF_THE_SCRAPE) | set(sample.labels)
    return found


def metrics_of(query: str) -> set[str]:
    return {selector.name for selector in _selectors(promql.parse(query))}


def unknown_in(query: str, labels: Labels) -> list[str]:
    """What a query names that `labels` has not."""
    missing: list[str] = []
    _labels_of(promql.parse(query), labels, missing)
    return missing


def _selectors(expression: Any) -> Iterator[Any]:
    if isinstance(expression, promql.VectorSelector):
        yield expression
    for name in ("expr", "lhs", "rhs", "param", "vector_selector"):
        inner = getattr(expression, name, None)
        if isinstance(inner, promql.Expr):
            yield from _selectors(inner)
    for argument in getattr(expression, "args", ()):
        yield from _selectors(argument)


def _labels_of(expression: Any, known: Labels, missing: list[str]) -> frozenset[str]:
    """The labels of what an expression yields; notes in `missing` what it names in vain."""

    def named(names: list[str], among: frozenset[str]) -> frozenset[str]:
        missing.extend(f"{name} in {expression}" for name in names if name not in among)
        return frozenset(names)

    match expression:
        case promql.VectorSelector():
            name = str(expression.name)
            if name not in known:
                missing.append(name)
                return frozenset()
            matchers = [each.name for each in expression.matchers.matchers]
            named(matchers, known[name])
            return known[name]
        case promql.MatrixSelector():
            return _labels_of(expression.vector_selector, known, missing)
        case promql.AggregateExpr():
            inner = _labels_of(expression.expr, known, missing)
            kept = expression.modifier
            if kept and kept.type == promql.AggModifierType.Without:
                return inner - named(kept.labels, inner)
            # topk and its kind keep what they choose from.
            return named(kept.labels, inner) if kept else inner if expression.param else frozenset()
        case promql.BinaryExpr():
            left = _labels_of(expression.lhs, known, missing)
            right = _labels_of(expression.rhs, known, missing)
            matching = expression.modifier.matching if expression.modifier else None
            if matching is not None:
                named(matching.labels, left & right)
            return left or right
        case promql.Call():
            found = [_labels_of(each, known, missing) for each in expression.args]
            labels = frozenset[str]().union(*found)
            if expression.func.name == "label_replace":
                _, target, _, source, _ = expression.args
                named([source.val], labels)
                labels |= {target.val}
            return labels
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return _labels_of(expression.expr, known, missing)
    return frozenset()
