# SPDX-License-Identifier: Apache-2.0
"""Every metric of the operator and of the worker, from their registries and from what they tell of
objects."""

from made.page import codes, notes, page, prose, table
from postroom.controller.inbound import figures
from postroom.controller.object_metrics import HELP, METRICS
from postroom.metrics import GAUGES, Metrics, Registry

_LEAD = """What `/metrics` has, in the Prometheus text format, never by address or host. What of it
to be told about: [alerts](../runbooks/README.md); where it is served and to whom:
[installing](../install.md#metrics)."""
_OBJECT = ("kind", "namespace", "name")


def pages() -> dict[str, str]:
    """Return the page."""
    rows = [
        (
            f"`{metric}`",
            codes(
                (*_OBJECT, *METRICS[metric][1]) if metric in METRICS else ("metric", "namespace")
            ),
            _meaning(metric, text),
        )
        for metric, text in HELP.items()
    ]
    lines = ["## Of objects", "", "All are gauges, and end with the object.", ""]
    lines += table(("Metric", "Labels", "Meaning"), rows)
    lines += ["## Of the operator", ""]
    lines += table(("Metric", "Type", "Labels", "Meaning"), sorted(operator_metrics()))
    lines += ["## Of postroom deliver", "", "Each worker serves its own, at the same place.", ""]
    lines += table(("Metric", "Type", "Labels", "Meaning"), sorted(worker_metrics()))
    lines += ["And those of the process, `process_...`, as every Prometheus client has them."]
    return {"reference/metrics.md": page("Metrics", _LEAD, lines)}


def _meaning(metric: str, text: str) -> str:
    return " ".join([prose(text), notes("metrics").get(metric, "")]).strip()


def operator_metrics() -> list[tuple[str, str, str, str]]:
    """Return name, type, labels and meaning of what the operator tells of itself."""
    metrics = Metrics()
    for name in GAUGES:
        metrics.observe_gauge(name, lambda: 0.0)
    return _told_by(metrics)


def worker_metrics() -> list[tuple[str, str, str, str]]:
    """Return the same of what a worker tells."""
    told = figures.Figures()
    for name in figures.GAUGES:
        told.observe_gauge(name, lambda: 0.0)
    accounts = [
        (f"`{name}`", "gauge", codes(("namespace", "name")), _meaning(name, text))
        for name, text in figures.ACCOUNTS.items()
    ]
    return [*_told_by(told), *accounts]


def _told_by(metrics: Registry) -> list[tuple[str, str, str, str]]:
    labels = {
        name: getattr(collector, "_labelnames", ())
        for name, collector in metrics.registry._names_to_collectors.items()
    }
    return [
        (
            f"`{family.name}{'_total' if family.type == 'counter' else ''}`",
            family.type,
            codes(labels.get(family.name, ())),
            _meaning(family.name, family.documentation),
        )
        for family in metrics.registry.collect()
        if family.name.startswith("postroom_")
    ]
