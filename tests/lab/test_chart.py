# SPDX-License-Identifier: Apache-2.0
"""The chart as helm renders it: object by object the same as the kustomizations, for each feature;
every setting arrives at the operator; every value does something; what cannot be is refused in a
sentence; and the Pod is restricted by default.

helm is that of a wheel (tests/lab/helm.py); with POSTROOM_REQUIRE_HELM=1 its absence is a failure.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import typer.main
import yaml

from lab.helm import CHART, ROOT, helm, kustomized, refusal, rendered, template
from postroom.api.names import Kind
from postroom.cli.main import app
from postroom.concurrency.shards import Shard
from postroom.deliver_settings import SHARED
from postroom.deliver_settings import load as load_deliver
from postroom.mail.connect.guard import DEFAULT_PORTS
from postroom.settings import Settings, load

INSTALL = ROOT / "manifests" / "install"
VALUES: dict[str, Any] = yaml.load((CHART / "values.yaml").read_text(), Loader=yaml.CSafeLoader)
Objects = dict[tuple[str, ...], dict[str, Any]]
#: What the chart adds to the labels of the manifests.
ADDED = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/name",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}
#: What keeps a definition where it is, for Helm, and for Argo CD, which prunes it all the same.
KEPT = {"helm.sh/resource-policy": "keep", "argocd.argoproj.io/sync-options": "Prune=false"}
#: The component or directory of a feature, and the value that asks for it.
FEATURES = {
    "": "",
    "binding": "settings.allowBindings=true",
    "token-rotation": "settings.allowTokenRotation=true",
    "publishing": "settings.publishDnsEndpoints=true",
    "metrics-auth": "settings.metricsAuth=true",
    "shards": "shards=3",
    "watch-secrets": "settings.watchSecrets=true",
    "ui": "settings.ui=true,settings.uiAuth=true",
    "deliver": "deliver.enabled=true",
    "in-use": "inUseWarning.enabled=true",
    "tenants": "tenants.enabled=true",
    "tenants-strict": "tenants.enabled=true,tenants.strict=true",
}
SCOPES = {"cluster": "", "namespaced": "settings.namespaces={mail}"}


def settings_flags(objects: list[dict[str, Any]]) -> list[str]:
    """The arguments of the operator."""
    arguments: list[str] = container(objects)["args"]
    assert arguments[0] == "run"
    return arguments[1:]


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["kind"] == kind]


def pod(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (workload,) = of_kind(objects, "Deployment") or of_kind(objects, "StatefulSet")
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def container_of_operator(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The container of the operator where there are workers, too."""
    pods = [each["spec"]["template"]["spec"] for each in of_kind(objects, "Deployment")]
    found: dict[str, Any] = next(
        pod["containers"][0] for pod in pods if pod["containers"][0]["name"] == "operator"
    )
    return found


def container(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = pod(objects)["containers"]
    return dict(found)


def comparable(objects: list[dict[str, Any]]) -> Objects:
    """The objects by what names them, without what only Helm needs to know them again."""
    found: Objects = {}
    for each in objects:
        metadata = each["metadata"]
        name = (each["apiVersion"], each["kind"], metadata.get("namespace", ""), metadata["name"])
        assert name not in found, name
        found[name] = each
        for labelled in (metadata, each.get("spec", {}).get("template", {}).get("metadata", {})):
            for label in ADDED & labelled.get("labels", {}).keys():
                del labelled["labels"][label]
        if each["kind"] == "ValidatingAdmissionPolicy":
            # kustomize folds long lines anew.
            for rule in (*each["spec"]["variables"], *each["spec"]["validations"]):
                rule["expression"] = " ".join(rule["expression"].split())
        if each["kind"] == "CustomResourceDefinition":
            assert metadata.pop("annotations", None) in (None, KEPT)
        if each["kind"] in ("Deployment", "StatefulSet"):
            # The order of flags has no meaning.
            (operator,) = each["spec"]["template"]["spec"]["containers"]
            operator["args"][1:] = sorted(operator["args"][1:])
    return found


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("feature", FEATURES)
def test_it_is_the_same_as_the_kustomization(feature: str, scope: str, tmp_path: Path) -> None:
    here = os.path.relpath(INSTALL, tmp_path)
    described: dict[str, Any] = {"resources": [f"{here}/{scope}"], "components": []}
    if feature:
        scoped = INSTALL / feature / scope
        directory = scoped if scoped.is_dir() else INSTALL / feature
        kind = yaml.load((directory / "kustomization.yaml").read_text(), Loader=yaml.CSafeLoader)[
            "kind"
        ]
        part = "components" if kind == "Component" else "resources"
        described[part].append(os.path.relpath(directory, tmp_path))
    (tmp_path / "kustomization.yaml").write_text(json.dumps(described))
    expected = comparable(kustomized(tmp_path))
    # Helm makes namespaces itself.
    del expected["v1", "Namespace", "", "postroom-system"]
    chosen = ",".join(filter(None, [FEATURES[feature], SCOPES[scope]]))
    arguments = ("--set", chosen) if chosen else ()
    found = comparable(rendered(*arguments, definitions=scope == "cluster"))
    assert found.keys() == expected.keys()
    for name, each in expected.items():
        assert found[name] == each, name


def test_no_part_of_the_installation_is_forgotten() -> None:
    parts = {path.name for path in INSTALL.iterdir()} - {"base", *SCOPES}
    assert parts == FEATURES.keys() - {""}


def test_another_release_shares_no_name_with_it() -> None:
    features = ",".join(filter(None, list(FEATURES.values())[:6]))
    first = comparable(rendered("--set", features))
    second = comparable(rendered("--set", features, release="other"))
    assert not first.keys() & second.keys()
    text = json.dumps(list(second.values()))
    # What is left of the name is what the operator, its fields and its label are called.
    text = text.replace('app.kubernetes.io/part-of": "postroom"', "")
    assert re.search(r'"postroom"|(?<!-)\bpostroom-(binding|leases|publishing|token)', text) is None


def given(field: str, annotation: str) -> Any:
    """A value for a setting that is not its default."""
    special = {
        "namespaces": ["mail", "shop"],
        "dns_resolvers": ["10.0.0.10:5353", "https://resolver.example:8443/dns-query"],
        "allow_cidrs": ["10.0.0.0/8", "fd00::/8"],
        "allow_ports": [2526, 10025],
        "allow_token_hosts": ["*.login.example.com"],
        "allow_http_hosts": ["reports.example.com"],
        "allow_test_recipients": ["ops@example.com", "@example.net", "$a$$b@example.com"],
        "ui_namespaces": ["shop"],
        "leader_election": False,
        "leader_election_namespace": "leases",
        "health_address": "[::]:9090",
        "metrics_address": "0.0.0.0:9443",
        "log_level": "debug",
        "log_format": "text",
        "status_writes_per_second": 0.5,
        "kubeconfig": "/etc/postroom/kubeconfig",
        "metrics_tls_directory": "/etc/tls",
        "review_backfill_days": 21,
    }
    if field in special:
        return special[field]
    return True if "bool" in annotation else ("2h" if "timedelta" in annotation else 1000)


#: Seconds that are more than any setting's, so that a Pod has time to end.
LONGER = 10_000


def value_name(field: str) -> str:
    """The key of a setting in values.yaml."""
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


def test_every_setting_arrives_at_the_operator(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("a key of sixteen characters, or more")
    elsewhere = {"ownership_key", "earlier_ownership_keys", "shard"}
    chosen = {
        field: given(field, str(info.annotation))
        for field, info in Settings.model_fields.items()
        if field not in elsewhere
    }
    settings = {value_name(field): value for field, value in chosen.items()}
    values = tmp_path / "values.yaml"
    settings["ownershipKeyFiles"] = [str(key_file)]
    longer = {"terminationGracePeriodSeconds": LONGER}
    values.write_text(json.dumps({"settings": settings, **longer}))
    group: Any = typer.main.get_command(app)
    command = group.get_command(group.make_context("postroom", ["run"]), "run")
    arguments = settings_flags(rendered("--values", values))
    # What Kubernetes makes of the arguments of a container.
    expanded = [argument.replace("$$", "$") for argument in arguments]
    parsed = command.make_context("run", expanded).params
    told, expected = load(parsed, {}), load({**chosen, "ownership_key_file": [key_file]}, {})
    assert told == expected
    assert all(getattr(told, field) != getattr(Settings(), field) for field in chosen)


def worker(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The container of the first worker, with the flags that its program would have of it."""
    pods = [each["spec"]["template"]["spec"] for each in of_kind(objects, "Deployment")]
    found = [container for pod in pods for container in pod["containers"]]
    return next(each for each in found if each["name"] == "deliver")


def test_every_setting_that_concerns_it_arrives_at_the_worker(tmp_path: Path) -> None:
    chosen = {
        field: given(field, str(Settings.model_fields[field].annotation))
        for field in SHARED
        if field != "shard"
    }
    # Shards and the absence of leader election contradict each other.
    chosen["leader_election"] = True
    values = tmp_path / "values.yaml"
    named = {value_name(field): value for field, value in chosen.items()}
    own = {"spool": "64Mi", "sessions": 7, "sessionsPerNamespace": 5}
    deliver = {"enabled": True, "shards": 3, **own}
    longer = {"terminationGracePeriodSeconds": LONGER}
    values.write_text(json.dumps({"settings": named, "deliver": deliver, **longer}))
    group: Any = typer.main.get_command(app)
    command = group.get_command(group.make_context("postroom", ["deliver"]), "deliver")
    verb, *arguments = worker(rendered("--values", values))["args"]
    assert verb == "deliver"
    told = load_deliver(command.make_context("deliver", arguments).params, {})
    expected = {"shard": "0/3", "spool": "64Mi", "spool_dir": "/spool"}
    expected |= {"sessions": "7", "sessions_per_namespace": "5"}
    assert told == load_deliver({**chosen, **expected}, {})


def test_shards_are_deployments_that_share_no_pod() -> None:
    objects = rendered("--set", "deliver.enabled=true,deliver.shards=3")
    deployments = of_kind(objects, "Deployment")
    chosen = [json.dumps(each["spec"]["selector"]) for each in deployments]
    assert len(set(chosen)) == len(deployments) == 4
    for each in deployments:
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert each["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (policy,) = (
        each for each in of_kind(objects, "NetworkPolicy") if "deliver" in each["metadata"]["name"]
    )
    guarded = policy["spec"]["podSelector"]["matchLabels"].items()
    assert (
        sum(
            guarded <= each["spec"]["template"]["metadata"]["labels"].items()
            for each in deployments
        )
        == 3
    )


@pytest.mark.parametrize(("shards", "replicas"), [(2, 1), (3, 2), (64, 1)])
def test_each_pod_has_the_shard_of_its_ordinal(shards: int, replicas: int) -> None:
    """Read by the operator itself, from what Kubernetes makes of the arguments."""
    objects = rendered("--set", f"shards={shards},replicas={replicas}")
    (found,) = of_kind(objects, "StatefulSet")
    assert of_kind(objects, "Deployment") == []
    assert found["spec"]["replicas"] == shards * replicas
    operator = container(objects)
    assert operator["env"][0]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    variable, name = f"$({operator['env'][0]['name']})", found["metadata"]["name"]
    group: Any = typer.main.get_command(app)
    command = group.get_command(group.make_context("postroom", ["run"]), "run")
    held = []
    for ordinal in range(found["spec"]["replicas"]):
        told = [each.replace(variable, f"{name}-{ordinal}") for each in operator["args"][1:]]
        held.append(load(command.make_context("run", told).params, {}).shard)
    parts = [Shard(index, shards) for index in range(shards)]
    assert sorted(held, key=str) == sorted(parts * replicas, key=str)
    selector = found["spec"]["selector"]["matchLabels"]
    assert selector.items() <= found["spec"]["template"]["metadata"]["labels"].items()
    # Every kind of Pod of the operator has the rights to its Leases.
    (leases,) = [each for each in of_kind(objects, "Role") if "leases" in each["metadata"]["name"]]
    assert set(leases["rules"][0]["verbs"]) == {"get", "create", "update"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("shards=2,settings.leaderElection=false", "settings.leaderElection is false and shards"),
        (
            "deliver.enabled=true,deliver.shards=2,settings.leaderElection=false",
            "settings.leaderElection is false and deliver.shards",
        ),
        ("shards=0", "shards"),
        ("shards=65", "shards"),
        ("settings.shard=0/2", "shard"),
    ],
)
def test_shards_that_cannot_be_are_refused(values: str, sentence: str) -> None:
    assert sentence in refusal("--set", values)


def test_the_worker_is_restricted_and_knows_nothing_of_ownership() -> None:
    objects = rendered(
        *("--set", "deliver.enabled=true,caBundle.name=ca,ownershipKey.existingSecret=key")
    )
    found = worker(objects)
    assert found["securityContext"] == container_of_operator(objects)["securityContext"]
    assert [each["name"] for each in found["env"]] == ["SSL_CERT_FILE"]


def test_by_default_the_operator_is_told_nothing() -> None:
    assert settings_flags(rendered()) == []


#: A value for each place, where its kind does not tell one that changes something.
OTHER: dict[str, Any] = {
    "image.digest": "sha256:" + "a" * 64,
    "image.pullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "podDisruptionBudget.maxUnavailable": "50%",
    "networkPolicy.apiServerPorts": [16443],
    "networkPolicy.from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
    "deliver.spool": "64Mi",
    "deliver.networkPolicy.to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
    "deliver.resources": {"limits": {"memory": "1Gi"}},
    "deliver.extraEnv": [{"name": "TZ", "value": "UTC"}],
    "deliver.extraVolumes": [{"name": "more", "emptyDir": {}}],
    "deliver.extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    "networkPolicy.extraEgress": [{"ports": [{"port": 8443, "protocol": "TCP"}]}],
    "metrics.podMonitor.interval": "30s",
    "metrics.podMonitor.endpoint": {"tlsConfig": {"insecureSkipVerify": True}},
    "metrics.serviceMonitor.interval": "1m",
    "metrics.serviceMonitor.endpoint": {"bearerTokenFile": "/token"},
    "metrics.prometheusRule.runbookBase": "https://git.example.com/postroom/",
    "caBundle.kind": "Secret",
    "resources": {"limits": {"memory": "1Gi"}},
    "podSecurityContext": {"runAsUser": 1000},
    "securityContext": {"privileged": False},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
}
#: What must be set besides for a value to show.
BESIDES: dict[str, dict[str, Any]] = {
    "policies": {"settings": {"allowBindings": True}},
    "deliver.extraVolumeMounts": {
        "deliver": {"enabled": True, "extraVolumes": [{"name": "more", "emptyDir": {}}]}
    },
    "deliver": {"deliver": {"enabled": True}},
    "tenants.strict": {"tenants": {"enabled": True}},
    "caBundle": {"caBundle": {"name": "company-ca"}},
    "metrics.tlsSecret": {"settings": {"metricsAuth": True}},
    "extraVolumeMounts": {"extraVolumes": [{"name": "more", "emptyDir": {}}]},
    **{
        f"metrics.{name}.": {"metrics": {name: {"enabled": True}}}
        for name in ("service", "podMonitor", "serviceMonitor", "prometheusRule", "dashboards")
    },
}
#: What speaks to a cluster.
ONLY_WITH_A_CLUSTER = {"ownershipKey.replaceLost"}


def leaves(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    properties = json.loads((CHART / "values.schema.json").read_text())
    for name, value in values.items():
        path = f"{above}{name}"
        place: Any = properties
        for step in path.split("."):
            place = place["properties"][step]
        if isinstance(value, dict) and "$ref" not in place:
            yield from leaves(value, f"{path}.")
        else:
            yield path, value


def nested(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


def merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    both = {
        name: merged(first[name], second[name])
        for name in first.keys() & second.keys()
        if isinstance(second[name], dict)
    }
    return {**first, **second, **both}


LEAVES = [
    (path, default)
    for path, default in leaves(VALUES)
    if not path.startswith("settings.") and path not in ONLY_WITH_A_CLUSTER
]


@pytest.mark.parametrize(("path", "default"), LEAVES, ids=[path for path, _ in LEAVES])
def test_every_value_does_something(path: str, default: Any) -> None:
    besides = next((extra for prefix, extra in BESIDES.items() if path.startswith(prefix)), {})
    if path.endswith(".enabled"):
        besides = {}
    if isinstance(default, bool):
        other: Any = not default
    elif isinstance(default, int):
        other = default + 1
    elif isinstance(default, str):
        other = "another"
    else:
        other = {"example.com/a": "b"}
    texts = []
    for value in (default, OTHER.get(path, other)):
        chosen = merged(besides, nested(path, value))
        json_values = [f"{name}={json.dumps(part)}" for name, part in chosen.items()]
        flags = [word for text in json_values for word in ("--set-json", text)]
        texts.append(template(*flags, definitions=path.startswith("crds.")))
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    "values",
    [
        "unknown=1",
        "settings.worker=1",
        "settings=null",
        "caBundle=null",
        "metrics.podMonitor=null",
        "rbac.create=null",
        "image.repository=null",
        "image.tags=x",
        "crds.keeps=true",
        "metrics.podMonitor.label=x",
        "resources.limit=1",
        "podSecurityContext.runAsNonroot=true",
        "tolerations[0].keys=a",
        "networkPolicy.from[0].pods=a",
        "extraVolumeMounts[0].name=a,extraVolumeMounts[0].mountpath=/b",
        "extraVolumes[0].name=a",
        "settings.workers=0",
        "settings.workers=many",
        "settings.sweepInterval=15",
        "settings.logLevel=loud",
        "settings.allowPorts={0}",
        "settings.namespaces=mail",
        "image.digest=sha256:abc",
        "podDisruptionBudget.maxUnavailable=0",
        "caBundle.kind=File",
    ],
)
def test_the_schema_refuses(values: str) -> None:
    said = refusal("--set", values)
    assert "values don't meet the specifications of the schema" in said
    assert values.replace("[0]", ".").split("=")[0].split(".")[0] in said


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("settings.leaderElection=false,replicas=2", "two operators would work on the same"),
        (
            "settings.requireOwnershipToken=true,ownershipKey.create=false",
            "settings.requireOwnershipToken needs an ownership key",
        ),
        (
            "metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true",
            "enable one of the two",
        ),
        (
            "settings.leaderElection=false,deliver.enabled=true,deliver.replicas=2",
            "two workers would hand over the same mail",
        ),
        ("tenants.strict=true", "tenants.strict needs tenants.enabled"),
        ("settings.healthAddress=off,metrics.podMonitor.enabled=true", "nothing can be scraped"),
    ],
)
def test_values_that_contradict_each_other_are_refused_in_a_sentence(
    values: str, sentence: str
) -> None:
    assert sentence in refusal("--set-string", values) or sentence in refusal("--set", values)


@pytest.mark.parametrize(
    ("spool", "limit", "fits"),
    [
        ("383Mi", None, True),
        ("384Mi", None, False),
        ("1Gi", None, False),
        ("393216Ki", None, False),
        ("512Mi", "0.5Gi", False),
        ("512Mi", "+.51Gi", True),
        ("512Mi", "536870912", False),
        ("512Mi", "536870913", True),
        ("512Mi", "536M", False),
        ("512Mi", "537M", True),
        ("512Mi", "536870913000m", True),
        ("512Mi", "5.3e8", False),
        ("512Mi", "5.4E8", True),
        ("999Gi", "1Ti", True),
        ("999Gi", "1E", True),
        ("1Gi", "1073741k", False),
        # Kubernetes takes none for no limit.
        ("1Gi", "0", True),
        ("1Gi", "null", True),
    ],
)
def test_a_spool_that_its_memory_cannot_hold_is_refused(
    spool: str, limit: str | None, fits: bool
) -> None:
    values = f"deliver.enabled=true,deliver.spool={spool}"
    if limit is not None:
        values += f",deliver.resources.limits.memory={limit}"
    if fits:
        assert rendered("--set", values)
    else:
        said = refusal("--set", values)
        assert f"deliver.spool is {spool} and deliver.resources.limits.memory" in said
    assert rendered("--set", values.replace("enabled=true", "enabled=false"))


def test_charts_that_depend_on_it_may_hand_down_what_is_shared() -> None:
    assert rendered("--set", "global.domain=example.com,enabled=true") == rendered()


def commands_of_pages() -> list[list[str]]:
    """Each command of helm at the chart that a page shows."""
    pages = [ROOT / "README.md", CHART / "README.md", *(ROOT / "docs").glob("*.md")]
    lines = [
        line
        for page in pages
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
        for line in block.replace("\\\n", "").splitlines()
    ]
    return [shlex.split(line)[1:] for line in lines if line.startswith("$ helm ")]


def test_the_commands_and_values_of_the_pages_are_good(tmp_path: Path) -> None:
    tried = [command for command in commands_of_pages() if "charts/postroom" in command]
    assert len(tried) >= 5
    for command in tried:
        _, verb, release, _, *options = command
        assert verb in {"install", "upgrade"}
        known = helm(verb, "--help").stdout
        assert all(option.split("=")[0] in known for option in options if option[:2] == "--")
        # Of what else an option may say, `helm template` knows less.
        pairs = [option for option in itertools.pairwise(options) if option[0] == "--set"]
        template(*itertools.chain(*pairs), release=release)
    page = (ROOT / "docs" / "helm.md").read_text()
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        shown = yaml.load(block, Loader=yaml.CSafeLoader)
        spec = shown.get("spec", {})
        values = spec.get("values") or spec.get("source", {}).get("helm", {}).get("valuesObject")
        path = tmp_path / "values.yaml"
        path.write_text(json.dumps(values or shown))
        assert template("--values", path) != template()
        template.cache_clear()


@pytest.mark.parametrize("keep", [True, False])
def test_definitions_are_kept_by_whoever_would_remove_them(keep: bool) -> None:
    objects = rendered("--set", f"crds.keep={json.dumps(keep)}", definitions=True)
    kept = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    assert len(kept) == len(Kind)
    for each in kept:
        assert each["metadata"].get("annotations") == (KEPT if keep else None)


def test_lint_is_content() -> None:
    said = helm("lint", "--strict", CHART).stdout
    assert "0 chart(s) failed" in said
    assert "WARNING" not in said


def test_two_renderings_are_the_same_and_hold_no_key() -> None:
    # What GitOps compares, and stores.
    assert rendered() == rendered()
    assert of_kind(rendered(), "Secret") == []


def test_the_pod_is_restricted_whatever_is_mounted() -> None:
    objects = rendered("--set", "settings.metricsAuth=true,caBundle.name=ca")
    spec, operator = pod(objects), container(objects)
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert operator["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {next(iter(volume.keys() - {"name"})) for volume in spec["volumes"]} == {
        "secret",
        "configMap",
    }
    assert all(mount["readOnly"] for mount in operator["volumeMounts"])


def test_an_image_by_digest_is_that_image() -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    objects = rendered("--set", f"image.repository=registry.example.com/p,image.digest={digest}")
    assert container(objects)["image"] == f"registry.example.com/p@{digest}"


def test_rights_follow_the_settings_and_the_namespaces() -> None:
    objects = rendered("--set", "settings.namespaces={a,b},settings.watchSecrets=true")
    assert of_kind(objects, "ClusterRole") == of_kind(objects, "ClusterRoleBinding") == []
    roles = [each for each in of_kind(objects, "Role") if each["metadata"]["name"] == "postroom"]
    assert [role["metadata"]["namespace"] for role in roles] == ["a", "b"]
    for role in roles:
        (rule,) = [rule for rule in role["rules"] if "secrets" in rule["resources"]]
        assert rule["verbs"] == ["watch", "list", "get"]
    bound = rendered("--set", "settings.namespaces={a,b},settings.allowBindings=true")
    assert {
        each["metadata"]["namespace"]
        for each in of_kind(bound, "RoleBinding")
        if each["roleRef"]["name"] == "postroom-binding"
    } == {"a", "b"}
    assert of_kind(rendered("--set", "settings.leaderElection=false"), "Role") == []


def test_the_network_is_open_where_the_settings_lead() -> None:
    resolvers = "{10.0.0.10:5353,https://resolver.example:8443/dns-query}"
    values = (
        f"settings.dnsResolvers={resolvers},settings.dnsAuthoritativePort=5300,"
        "settings.allowPorts={10025},settings.metricsAddress=0.0.0.0:9443"
    )
    (policy,) = of_kind(rendered("--set", values), "NetworkPolicy")
    dns, https, mail = (
        {(port["protocol"], port["port"]) for port in rule["ports"]}
        for rule in policy["spec"]["egress"]
    )
    assert dns == {(protocol, port) for protocol in ("UDP", "TCP") for port in (53, 5300, 5353)}
    assert https == {("TCP", port) for port in (443, 6443, 8443)}
    assert mail == {("TCP", port) for port in {*DEFAULT_PORTS, 10025}}
    assert [rule["ports"][0]["port"] for rule in policy["spec"]["ingress"]] == ["http", "metrics"]


def test_what_scrapes_finds_the_port() -> None:
    for monitor, endpoints in (
        ("podMonitor", "podMetricsEndpoints"),
        ("serviceMonitor", "endpoints"),
    ):
        for extra, port, scheme in (
            ("", "http", None),
            (",settings.metricsAuth=true", "metrics", "https"),
        ):
            objects = rendered("--set", f"metrics.{monitor}.enabled=true{extra}")
            (found,) = of_kind(objects, monitor[0].upper() + monitor[1:])
            (endpoint,) = found["spec"][endpoints]
            services = of_kind(objects, "Service")
            named = {each["name"]: each for each in container(objects)["ports"]}
            if services:
                (service,) = services
                (exposed,) = service["spec"]["ports"]
                assert endpoint["port"] == exposed["name"]
                assert exposed["targetPort"] == port
                assert exposed["port"] == named[port]["containerPort"]
                selected = found["spec"]["selector"]["matchLabels"].items()
                assert selected <= service["metadata"]["labels"].items()
            else:
                assert endpoint["port"] == port
            assert port in named
            assert (endpoint["honorLabels"], endpoint.get("scheme")) == (True, scheme)


def test_alerts_and_dashboards_are_those_of_the_repository() -> None:
    integrations = ROOT / "manifests" / "integrations"
    values = "metrics.prometheusRule.enabled=true,metrics.dashboards.enabled=true"
    objects = rendered("--set", f"{values},metrics.prometheusRule.runbookBase=https://a.example/")
    (rule,) = of_kind(objects, "PrometheusRule")
    expected = (integrations / "prometheus" / "rules.yaml").read_text()
    located = expected.replace("runbook_url: docs/", "runbook_url: https://a.example/docs/")
    assert rule["spec"] == yaml.load(located, Loader=yaml.CSafeLoader)
    shown = {
        name: json.loads(text)
        for each in of_kind(objects, "ConfigMap")
        for name, text in each["data"].items()
    }
    dashboards = integrations.glob("grafana/*.json")
    assert shown == {path.name: json.loads(path.read_text()) for path in dashboards}


def test_a_bundle_is_trusted_besides_the_public_authorities(tmp_path: Path) -> None:
    objects = rendered("--set", "caBundle.name=company-ca,caBundle.key=root.pem")
    (volume,) = pod(objects)["volumes"]
    (mount,) = container(objects)["volumeMounts"]
    (variable,) = [each for each in container(objects)["env"] if each["name"] == "SSL_CERT_FILE"]
    assert volume["configMap"]["items"] == [{"key": "root.pem", "path": "root.pem"}]
    assert variable["value"] == f"{mount['mountPath']}/root.pem"
    # What the operator makes of the variable.
    bundle = tmp_path / "root.pem"
    trustme.CA(organization_name="a company").cert_pem.write_to_path(bundle)
    probe = (
        "import ssl; from postroom.mail.connect.tls import build_context; "
        "print(len(build_context(None).get_ca_certs()), ssl.get_default_verify_paths().capath)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", probe],
        env={**os.environ, "SSL_CERT_FILE": str(bundle), "PYTHONPATH": str(ROOT / "operator")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.split() == ["1", str(ssl.get_default_verify_paths().capath)]


def test_the_notes_say_where_the_key_is_and_what_is_rolled_out() -> None:
    install = ("install", "postroom", CHART, "--dry-run=client", "-n", "mail-ops")
    said = helm(*install).stdout
    assert "Secret mail-ops/postroom-ownership-key" in said
    assert re.findall("rollout status (.*)", said) == ["deployment/postroom -n mail-ops"]
    values = "shards=2,deliver.enabled=true,deliver.shards=2"
    assert re.findall("rollout status (.*)", helm(*install, "--set", values).stdout) == [
        "statefulset/postroom -n mail-ops",
        "deployment -l app.kubernetes.io/name=postroom-deliver -n mail-ops",
    ]


def test_names_that_look_like_numbers_stay_texts_and_a_namespace_named_twice_is_one() -> None:
    sets = ",".join(
        (
            "settings.namespaces={8,9,8}",
            "fullnameOverride=1,serviceAccount.name=2,ownershipKey.existingSecret=3",
            "caBundle.name=4,caBundle.key=5,priorityClassName=6,metrics.tlsSecret=7",
        )
    )
    features = ("--set", "settings.allowBindings=true,settings.metricsAuth=true")
    objects = rendered(*features, "--set-string", sets, release="123", namespace="77")
    places = [(each["kind"], each["metadata"].get("namespace")) for each in objects]
    assert places.count(("Role", "8")) == places.count(("Role", "9")) == 1
    assert ("Deployment", "77") in places

    def words(value: Any) -> Iterator[tuple[str, Any]]:
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield key, inner
        for inner in value.values() if isinstance(value, dict) else value:
            yield from words(inner) if isinstance(inner, dict | list) else ()

    texts = {"name", "namespace", "key", "path", "secretName", "serviceAccountName"}
    texts |= {"priorityClassName", "value", *ADDED}
    found = [(key, value) for each in objects for key, value in words(each) if key in texts]
    assert {"1", "2", "3", "4", "5", "6", "7", "77", "123"} <= {value for _, value in found}
    assert [pair for pair in found if not isinstance(pair[1], str)] == []
