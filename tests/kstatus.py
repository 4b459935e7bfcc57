# SPDX-License-Identifier: Apache-2.0
"""The status contract as a machine-checkable lint, and what kstatus makes of an object.

`lint` ports the rules that Flux checks for its own kinds; `compute` follows the algorithm of
cli-utils (pkg/kstatus/status). Every cluster test runs the lint over every object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ABNORMAL_TRUE = ("Reconciling", "Stalled", "Suspended")


def conditions_of(obj: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the conditions of an object by type."""
    return {one["type"]: one for one in obj.get("status", {}).get("conditions", [])}


def lint(obj: Mapping[str, Any]) -> list[str]:
    """Return every breach of the status contract; an empty list means that there is none."""
    conditions = conditions_of(obj)
    status = obj.get("status", {})
    generation = obj["metadata"].get("generation", 0)
    ready = conditions.get("Ready")
    if ready is None:
        return ["Ready is absent"]
    found = [*_lint_each(conditions, generation), *_lint_ready(conditions, status, generation)]
    if status.get("observedGeneration", -1) > generation:
        found.append("status.observedGeneration is ahead of the generation")
    return found


def _lint_each(conditions: Mapping[str, Mapping[str, Any]], generation: int) -> list[str]:
    found = []
    for name, condition in conditions.items():
        if name in ABNORMAL_TRUE and condition["status"] != "True":
            found.append(f"{name} is present but {condition['status']}")
        if condition.get("observedGeneration", -1) > generation:
            found.append(f"{name} observed a generation ahead")
        if not condition.get("reason") or "message" not in condition:
            found.append(f"{name} lacks reason or message")
    if {"Reconciling", "Stalled"} <= conditions.keys():
        found.append("Reconciling and Stalled at once")
    return found


def _lint_ready(
    conditions: Mapping[str, Mapping[str, Any]], status: Mapping[str, Any], generation: int
) -> list[str]:
    ready = conditions["Ready"]
    found = []
    if ready["status"] == "True":
        found += [f"Ready with {name}" for name in ("Reconciling", "Stalled") if name in conditions]
        seen = {condition.get("observedGeneration") for condition in conditions.values()}
        if "Suspended" not in conditions and seen | {status.get("observedGeneration")} != {
            generation
        }:
            found.append(f"Ready, but generations differ: {seen}")
    elif ready["status"] == "Unknown" and "Reconciling" not in conditions:
        untouched = status.get("observedGeneration") == -1
        if not untouched and "Suspended" not in conditions:
            found.append("Ready is Unknown without Reconciling")
    return found


def compute(obj: Mapping[str, Any]) -> str:
    """Return what kstatus says: InProgress, Failed, Current or Terminating."""
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = obj.get("status", {})
    observed = status.get("observedGeneration")
    if observed is not None and observed != obj["metadata"].get("generation"):
        return "InProgress"
    for condition in status.get("conditions", []):
        if condition["type"] == "Reconciling" and condition["status"] == "True":
            return "InProgress"
        if condition["type"] == "Stalled" and condition["status"] == "True":
            return "Failed"
    ready = conditions_of(obj).get("Ready")
    if ready is not None and ready["status"] != "True":
        return "InProgress"
    return "Current"


def flux_health(obj: Mapping[str, Any]) -> str:
    """Return what the healthCheckExprs of docs/flux.md say: Failed, Current or InProgress.

    Flux looks at the generation first, then for what fails, then for what is current.
    """
    status, generation = obj.get("status", {}), obj["metadata"].get("generation")
    if status.get("observedGeneration") != generation:
        return "InProgress"
    conditions = conditions_of(obj)
    ready = conditions.get("Ready", {})
    if conditions.get("Stalled", {}).get("status") == "True":
        return "Failed"
    if ready.get("observedGeneration") != generation or "Reconciling" in conditions:
        return "InProgress"
    return {"True": "Current", "False": "Failed"}.get(ready.get("status", ""), "InProgress")


def argo_health(obj: Mapping[str, Any]) -> str:
    """Return what the health script of docs/argocd.md says."""
    status = obj.get("status")
    spec = obj.get("spec", {})
    if spec.get("suspend") or spec.get("connection") == "Disconnected":
        return "Suspended"
    if not status or status.get("observedGeneration") != obj["metadata"].get("generation"):
        return "Progressing"
    conditions = conditions_of(obj)
    for name, health in (("Stalled", "Degraded"), ("Reconciling", "Progressing")):
        if conditions.get(name, {}).get("status") == "True":
            return health
    ready = conditions.get("Ready", {})
    if ready.get("observedGeneration") != obj["metadata"].get("generation"):
        return "Progressing"
    return {"True": "Healthy", "False": "Degraded"}.get(ready.get("status", ""), "Progressing")
