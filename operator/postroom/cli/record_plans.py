# SPDX-License-Identifier: Apache-2.0
"""From manifests to the plans of their sending domains; what is wrong gets file and line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from postroom.api.names import ALLOW_DKIM_PUBLIC_KEY, Key, Kind
from postroom.api.resource import InvalidSpec, Problem, parse_spec
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.cli.manifests import Manifests, decoded
from postroom.cli.yaml_documents import Complaint, Manifest
from postroom.dns import planning
from postroom.dns.publishing.beside import conflict
from postroom.dns.publishing.records import from_plan
from postroom.dns.requirements import DomainPlan
from postroom.reconcile.signing_in.references import not_public
from postroom.reconcile.world import secret_content

#: Stands for the file where a SendingDomain comes from the command line.
FLAGS = "postroom"
_FLAG_OF = {"domain": "DOMAIN", "provider": "--provider", "parameters": "--set"}


@dataclass(frozen=True, slots=True)
class Planned:
    """A sending domain of the input, and what it must publish."""

    key: Key
    manifest: Manifest
    plan: DomainPlan
    #: Whether the ownership token is derived from the operator's key.
    derives_token: bool


def plan_all(found: Manifests, ownership_keys: Sequence[bytes]) -> list[Planned]:
    """Plan every sending domain; what cannot be planned is added to the complaints."""
    planned = []
    for key, manifest in sorted(found.resources.items()):
        if key.kind is not Kind.SENDING_DOMAIN:
            continue
        try:
            spec = parse_spec(key.kind, manifest.raw.get("spec"))
        except InvalidSpec:
            # Reading the manifest has said so already.
            continue
        assert isinstance(spec, SendingDomainSpec)  # noqa: S101
        try:
            whole = planning.complete(spec)
            keys = _public_keys(found, key.namespace, whole)
            plan = planning.plan(whole, key.namespace, ownership_keys, keys)
        except InvalidSpec as error:
            found.complaints += [complaint(manifest, problem) for problem in error.problems]
            continue
        planned.append(Planned(key, manifest, plan, whole.ownership.value is None))
    return planned


def complaint(manifest: Manifest, problem: Problem) -> Complaint:
    """Where a problem is: file and line, or the flag."""
    if manifest.file == FLAGS and len(problem.path) > 1:
        flag = _FLAG_OF.get(str(problem.path[1]), problem.place)
        rest = Problem(problem.path[2:], "").place if problem.path[2:] else ""
        return Complaint(FLAGS, 0, f"{f'{flag} {rest}'.strip()}: {problem.message}")
    return manifest.complaint(problem.path, str(problem))


def complain_of_conflicts(found: Manifests, planned: Sequence[Planned]) -> None:
    """Complain of the first record that rules out one of another domain."""
    owners = [(record, domain) for domain in planned for record in from_plan(domain.plan)]
    clash = conflict(record for record, _ in owners)
    if clash is not None:
        record, sentence = clash
        owner = next(domain for owned, domain in owners if owned == record)
        found.complaints.append(owner.manifest.complaint(("spec",), sentence))


def _public_keys(found: Manifests, namespace: str, spec: SendingDomainSpec) -> dict[str, str]:
    """Read the public keys that the input's ConfigMaps hold, and Secrets that are declared public;
    raises `InvalidSpec`."""
    keys: dict[str, str] = {}
    for index, selector in enumerate(spec.dkim):
        reference = selector.public_key_ref
        if reference is None:
            continue
        path = ("spec", "dkim", index, "publicKeyRef")
        source = found.secrets if reference.kind == "Secret" else found.config_maps
        manifest = source.get((namespace, reference.name))
        raw = manifest.raw if manifest is not None else {}
        text = _mapping(raw.get("data")).get(reference.key)
        if reference.kind == "Secret":
            plain = decoded(text) if isinstance(text, str) else None
            text = _mapping(raw.get("stringData")).get(reference.key, plain)
        if manifest is None or not text:
            message = (
                f"the input has no {reference.kind} {reference.name} with a key {reference.key} in "
                f"namespace {namespace}: add its manifest"
            )
            raise InvalidSpec((Problem(path, message),))
        uses = secret_content(manifest.raw).allowed_uses
        if reference.kind == "Secret" and ALLOW_DKIM_PUBLIC_KEY not in uses:
            place, use = Problem(path, "").place, ALLOW_DKIM_PUBLIC_KEY
            message = not_public(reference.name, place, use).removesuffix(".")
            raise InvalidSpec((Problem(path, message),))
        keys[selector.selector] = str(text)
    return keys


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
