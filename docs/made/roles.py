# SPDX-License-Identifier: Apache-2.0
"""What each role may do, and what admission policies keep it from, from manifests/install."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from made.page import codes, page, prose, table
from postroom.api.names import GROUP, Kind

INSTALL = Path(__file__).resolve().parents[2] / "manifests" / "install"
_LEAD = """Every role that `manifests/install` has, with all of its rules, and every admission
policy with what it refuses. Who is bound to a role is said beside it; a role without a binding is
for you to bind."""


def pages() -> dict[str, str]:
    """Return the page."""
    found = list(manifests())
    bound: dict[tuple[str, str, str], list[str]] = {}
    for folder, manifest in found:
        if manifest["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            role = manifest["roleRef"]
            who = f"{_subjects(manifest)} ({manifest['kind']} of `{folder}`)"
            # A component's role lies beside its bindings for both ways to install.
            bound.setdefault((folder.split("/")[0], role["kind"], role["name"]), []).append(who)
    lines = ["## Roles", ""]
    for folder, manifest in found:
        if manifest["kind"] in ("Role", "ClusterRole"):
            role = folder.split("/")[0], manifest["kind"], manifest["metadata"]["name"]
            lines += _role(folder, manifest, bound.get(role, []))
    lines += ["## Admission policies", ""]
    actions = {
        manifest["spec"]["policyName"]: manifest["spec"]["validationActions"]
        for _, manifest in found
        if manifest["kind"] == "ValidatingAdmissionPolicyBinding"
    }
    for folder, manifest in found:
        if manifest["kind"] == "ValidatingAdmissionPolicy":
            lines += _policy(folder, manifest, actions[manifest["metadata"]["name"]])
    return {"reference/roles.md": page("What each role may do", _LEAD, lines)}


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each manifest with the folder it lies in, below manifests/install."""
    for path in sorted(INSTALL.rglob("*.yaml")):
        for manifest in yaml.load_all(path.read_text("utf-8"), Loader=yaml.CSafeLoader):
            if manifest and "kind" in manifest:
                yield path.parent.relative_to(INSTALL).as_posix(), manifest


def _role(folder: str, manifest: Mapping[str, Any], bound: list[str]) -> list[str]:
    """Write the section of one role."""
    metadata = manifest["metadata"]
    joined = [
        label.rpartition("-to-")[2]
        for label in metadata.get("labels", {})
        if label.startswith("rbac.authorization.k8s.io/aggregate-to-")
    ]
    lines = [f"### {manifest['kind']} `{metadata['name']}` of `{folder}`", ""]
    lines += [f"Bound to: {'; '.join(bound) if bound else 'nobody'}.", ""]
    lines += [f"Joined to the roles {codes(joined)}.", ""] if joined else []
    rows = [
        (
            codes(group or "core" for group in rule.get("apiGroups", ())),
            codes(rule.get("resources", rule.get("nonResourceURLs", ()))) + _mark(rule),
            codes(rule["verbs"]),
        )
        for rule in manifest["rules"]
    ]
    return [*lines, *table(("API group", "Resources", "Verbs"), rows)]


def _mark(rule: Mapping[str, Any]) -> str:
    """Return what to say of a resource of ours that is none."""
    known = {f"{kind.plural}{part}" for kind in Kind for part in ("", "/status")}
    ours = rule.get("apiGroups") == [GROUP] and not known.issuperset(rule["resources"])
    return " (no such resource: a mark by which policies know who may)" if ours else ""


def _policy(folder: str, manifest: Mapping[str, Any], actions: list[str]) -> list[str]:
    """Write the section of one policy."""
    spec = manifest["spec"]
    does = "Refuses" if "Deny" in actions else "Warns, and lets it through"
    lines = [f"### `{manifest['metadata']['name']}` of `{folder}`", ""]
    for rule in spec["matchConstraints"]["resourceRules"]:
        what = codes(verb.lower() for verb in rule["operations"])
        lines += [f"Asked at {what} of {codes(rule['resources'])}. {does}:", ""]
    for rule in spec["validations"]:
        text = rule.get("message") or f"(made of the object) {rule.get('messageExpression', '')}"
        lines.append(f"- {prose(' '.join(text.split()))}")
    return [*lines, ""]


def _subjects(manifest: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{subject['kind']} `{subject['name']}` of `{subject.get('namespace', '-')}`"
        for subject in manifest["subjects"]
    )
