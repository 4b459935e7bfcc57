# SPDX-License-Identifier: Apache-2.0
"""Every YAML block of every page is what a reader may apply.

Covers: resources of our kinds are valid in spec and status; parts of them name fields that exist,
with values that the definitions allow; kustomizations name what is there; of other kinds, that they
have a version and a kind that is known here; annotations of ours are ones that the program reads.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from postroom.api.crd import definition
from postroom.api.names import API_VERSION, GROUP, Kind
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.dns.planning import complete, plan
from unit.docs.reading import PAGES, ROOT, blocks, name_of

#: Kinds of others that pages show, by API version.
KNOWN = {
    "v1": {"Secret", "ConfigMap", "Namespace"},
    "apps/v1": {"Deployment"},
    "argoproj.io/v1alpha1": {"Application"},
    "helm.toolkit.fluxcd.io/v2": {"HelmRelease"},
    "kustomize.config.k8s.io/v1beta1": {"Kustomization"},
    "kustomize.toolkit.fluxcd.io/v1": {"Kustomization"},
    "external-secrets.io/v1": {"ExternalSecret"},
    "bitnami.com/v1alpha1": {"SealedSecret"},
    "backstage.io/v1alpha1": {"Component"},
    # the config of kube-state-metrics has a kind and no version
    "None": {"CustomResourceStateMetrics"},
}
#: What is neither a resource nor a part of one of ours, and why.
OTHERS = {
    "docs/backstage.md": "a part of Backstage's app-config.yaml",
    "docs/k9s.md": "the plugins of k9s",
    "docs/helm.md": "values of the chart, which tests/lab/test_chart.py has helm render",
    "docs/ci.md": "files of GitHub, GitLab and pre-commit: tests/lab/test_ci_snippets.py",
}
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
#: What stands in any ConfigMap that an example refers to.
KEY = base64.b64encode(bytes(32)).decode()
ANNOTATION = re.compile(rf"(?<![\w./-]){re.escape(GROUP)}/([a-z][a-z0-9-]*)(?![\w/-])")


def schema(kind: Kind) -> dict[str, Any]:
    crd = definition(kind)
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


SCHEMAS = {kind: schema(kind) for kind in Kind}


def unfit(value: object, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield what of a value the structure of a schema does not allow; parts may be missing."""
    if not isinstance(value, _TYPES[schema["type"]]):
        yield f"{path} is no {schema['type']}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{path} may not be {value}"
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from unfit(entry, schema["items"], f"{path}[{number}]")
    elif isinstance(value, dict):
        for name, entry in value.items():
            inner = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if inner:
                yield from unfit(entry, inner, f"{path}.{name}")
            elif path.count(".") or name != "metadata":
                yield f"{path}.{name} is no field"


def of_ours(document: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a resource of one of our kinds."""
    kind = Kind(document["kind"])
    wrong = [f"{name} is no field" for name in document if name not in SCHEMAS[kind]["properties"]]
    try:
        spec = parse_spec(kind, document["spec"])
        if isinstance(spec, SendingDomainSpec):
            keys = [entry.selector for entry in spec.dkim if entry.public_key_ref is not None]
            plan(complete(spec), "mail", b"key", dict.fromkeys(keys, KEY))
    except InvalidSpec as error:
        wrong.append(str(error))
    status = SCHEMAS[kind]["properties"]["status"]
    return wrong + list(unfit(document.get("status", {}), status, "status"))


def of_a_part(document: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a part of a resource, by the kind that it fits best."""
    parts = [
        SCHEMAS[kind]["properties"]["spec"] if not {"spec", "status"} & set(document) else whole
        for kind, whole in SCHEMAS.items()
    ]
    found = [list(unfit(document, part, "")) for part in parts]
    return min(found, key=lambda wrong: (len(wrong), "".join(wrong).count("no field")))


def of_a_kustomization(document: Mapping[str, Any]) -> list[str]:
    """Return what a kustomization beside this repository, or in it, names in vain."""
    named = [*document.get("resources", ()), *document.get("components", ())]
    ours = [path.removeprefix("postroom/") for path in named]
    return [
        f"{path} is not there"
        for path in ours
        if path.startswith(("manifests/", "crds", "charts/")) and not (ROOT / path).exists()
    ]


def wrong_yaml(name: str, text: str) -> list[str]:
    """Return what is wrong with the YAML blocks of a page."""
    wrong = []
    for block in blocks(text):
        if block.language in ("yaml", "yml"):
            try:
                documents = list(yaml.load_all(block.text, Loader=yaml.CSafeLoader))
            except yaml.YAMLError as error:
                documents, wrong = [], [*wrong, f"{block.line}: {type(error).__name__}"]
            for document in documents:
                wrong += [f"{block.line}: {told}" for told in wrong_document(name, document)]
    return wrong


def wrong_document(name: str, document: Any) -> list[str]:
    """Return what is wrong with one document of a page."""
    if not isinstance(document, dict):
        return ["it is no mapping"]
    version, kind = document.get("apiVersion"), document.get("kind")
    if version == API_VERSION:
        return of_ours(document)
    if {"resources", "components"} & set(document) and kind in ("Kustomization", None):
        return of_a_kustomization(document)
    if version is not None or kind is not None:
        known = kind in KNOWN.get(str(version), ())
        return [] if known else [f"{version} {kind} is no kind that is known here"]
    return [] if name in OTHERS else of_a_part(document)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_yaml_block_of_a_page_holds(page: Path) -> None:
    assert wrong_yaml(name_of(page), page.read_text("utf-8")) == []


def test_every_annotation_that_a_page_names_is_known() -> None:
    known = set()
    for path in (*ROOT.glob("operator/**/*.py"), *ROOT.glob("manifests/**/*.yaml")):
        known |= set(ANNOTATION.findall(path.read_text("utf-8")))
        # In the program the group is a name of its own: f"{GROUP}/requested-at".
        known |= set(re.findall(r"\{GROUP\}/([a-z][a-z0-9-]*)", path.read_text("utf-8")))
    for page in PAGES:
        named = set(ANNOTATION.findall(page.read_text("utf-8"))) - {API_VERSION.split("/")[1]}
        assert named - known == set(), page


def test_no_exception_is_for_nothing() -> None:
    for name in OTHERS:
        assert "```yaml" in (ROOT / name).read_text("utf-8")


def block(text: str) -> str:
    return f"```yaml\n{text}\n```\n"


RESOURCE = f"apiVersion: {API_VERSION}\nkind: MailServer\nmetadata: {{name: a}}\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (RESOURCE + "spec: {host: smtp.example.com}", ""),
        (RESOURCE + "spec: {hosts: smtp.example.com}", "hosts"),
        (RESOURCE + "spec: {host: smtp.example.com, port: x}", "port"),
        (RESOURCE + "spec: {host: smtp.example.com}\nstatus: {accounts: 1}", ""),
        (RESOURCE + "spec: {host: smtp.example.com}\nstatus: {account: 1}", "status.account"),
        (RESOURCE + "spec: {host: smtp.example.com}\nstate: {}", "state is no field"),
        ("tls: {mode: Implicit}", ""),
        ("tls: {mode: Explicit}", "may not be Explicit"),
        ("spec: {tls: {modes: Implicit}}", "is no field"),
        ("a: [", "ParserError"),
        ("apiVersion: apps/v2\nkind: Deployment", "no kind that is known"),
        ("resources: [postroom/manifests/install/cluster]", ""),
        ("components: [manifests/install/clusters]", "is not there"),
        ("- a", "no mapping"),
    ],
)
def test_a_block_that_does_not_hold_is_found(text: str, part: str) -> None:
    wrong = wrong_yaml("page.md", block(text))
    assert len(wrong) == bool(part)
    assert all(part in line for line in wrong)
