# SPDX-License-Identifier: Apache-2.0
"""The chart on a real API server, by the real helm.

Covers: everything that it can render is taken as it is; the ownership key is made once, survives
upgrades, removal and a new installation, is never made by a view without a cluster, and is refused
anew while domains use a lost one; an installation by kubectl is taken over; definitions and objects
stay; the operator works with exactly the rights of the chart, in both scopes; and `helm install
--wait` of our kinds waits for what we say.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.api_client import apply, forget_installations, service_account_kubeconfig
from cluster.audit_log import forbidden, requests_of
from cluster.lab_process import LabProcess
from cluster.objects import eventually
from cluster.test_binding import Bound
from cluster.test_defaults import SERVER, SUPPORT
from kstatus import conditions_of
from lab import helm
from postroom.api.names import API_VERSION
from postroom.lab.controlplane import ControlPlane
from postroom.lab.lab import PASSWORDS
from postroom.lab.operator_process import NAMESPACE, ROOT, OperatorProcess

KEY = "postroom-ownership-key"
DOMAIN = {"apiVersion": API_VERSION, "kind": "SendingDomain"}
TOKEN = {
    "id": "ownership",
    "purpose": "Ownership",
    "name": "_postroom-challenge.a.example",
    "hostLabel": "_postroom-challenge",
    "type": "TXT",
    "value": "postroom-verification=" + "a" * 32,
    "required": True,
    "state": "Valid",
}
FEATURES = (
    "settings.allowBindings=true,settings.allowTokenRotation=true,settings.watchSecrets=true,"
    "settings.publishDnsEndpoints=true,settings.metricsAuth=true,settings.uiAuth=true,"
    "inUseWarning.enabled=true,tenants.enabled=true,metrics.service.enabled=true,"
    "metrics.dashboards.enabled=true,caBundle.name=ca"
)


class Release:
    """A release of the chart in a namespace, with rights there alone unless told otherwise."""

    def __init__(self, plane: ControlPlane, namespace: str, name: str = "postroom") -> None:
        self.plane, self.namespace, self.name = plane, namespace, name

    def helm(self, verb: str, *arguments: str | Path, check: bool = True) -> str:
        where = ("--namespace", self.namespace)
        done = helm.helm(
            verb, self.name, *arguments, *where, kubeconfig=self.plane.kubeconfig, check=check
        )
        return done.stdout + done.stderr

    def install(self, *arguments: str | Path, check: bool = True) -> str:
        # The definitions are those of all tests.
        quietly = ("--wait=hookOnly", "--set", "crds.enabled=false")
        return self.helm("install", helm.CHART, *quietly, *arguments, check=check)

    def upgrade(self, *arguments: str | Path, check: bool = True) -> str:
        return self.helm("upgrade", helm.CHART, "--wait=hookOnly", *arguments, check=check)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        done = self.plane.kubectl(
            "get", kind, name, "-n", self.namespace, "-o", "json", "--ignore-not-found"
        )
        return dict(json.loads(done.stdout)) if done.stdout else {}

    def key(self, name: str = KEY) -> str:
        data = self.get("secret", name).get("data", {})
        return base64.b64decode(data.get("key", "")).decode()

    def arguments(self) -> list[str]:
        """What the operator is called with."""
        (operator,) = self.get("deployment", self.name)["spec"]["template"]["spec"]["containers"]
        assert operator["args"][0] == "run"
        return list(operator["args"][1:])


@pytest.fixture
def release(installed: ControlPlane, namespace: str) -> Iterator[Release]:
    """A release of a name of its own, to be installed; it is removed in the end."""
    made = Release(installed, namespace, f"{namespace}-postroom")
    yield made
    made.helm("uninstall", "--ignore-not-found")


@pytest.mark.parametrize("scope", ["cluster", "namespaced"])
def test_everything_that_it_renders_is_taken_as_it_is(
    installed: ControlPlane, namespace: str, scope: str
) -> None:
    values = FEATURES + f",settings.namespaces={{{namespace}}}" * (scope == "namespaced")
    text = helm.template("--set", values, release="dry", namespace=namespace, definitions=True)
    # Fields that the API server does not know are an error.
    dry = ("--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts")
    done = installed.kubectl("apply", *dry, "-f", "-", input=text)
    assert len(done.stdout.splitlines()) == len(helm.documents(text)) > 25
    assert "Warning" not in done.stderr


#: Values that look odd and are good, at the bounds of what the schema takes (tests/lab/
#: test_chart_values.py has what it refuses).
ODD: list[dict[str, Any]] = [
    {
        "fullnameOverride": "8",
        "labels": {"a.b/C_d": "", "A": "1.x_Y", "x" * 63: "y" * 63},
        "podLabels": {"a": "8"},
        "podAnnotations": {"x.y/Z": "any: text\n# and more", "a": ""},
        "image": {"repository": "reg.example:5000/a/b__c--d", "tag": "_v1.A-b"},
        "imagePullSecrets": [{"name": "a.b-c"}],
        "replicas": 0,
        "podDisruptionBudget": {"maxUnavailable": "100%"},
        "settings": {"shutdownGrace": "0s"},
        "terminationGracePeriodSeconds": 1,
        "serviceAccount": {"name": "a.b", "annotations": {"eks.example.com/role": "arn:a:b/c"}},
        "nodeSelector": {"kubernetes.io/os": "linux", "a": ""},
        "tolerations": [
            {"operator": "Exists"},
            {"key": "a/b", "value": ""},
            {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0},
        ],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "minDomains": 2,
                "nodeTaintsPolicy": "Honor",
                "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
            }
        ],
        "resources": {
            "requests": {"cpu": 0.5, "memory": "1e3", "example.com/gpu": 1},
            "limits": {"cpu": "1500m", "memory": ".5Gi", "example.com/gpu": 1},
        },
        "priorityClassName": "a.b",
        "ownershipKey": {"existingSecret": "8"},
    },
    {
        "settings": {
            "dnsResolvers": ["[fe80::1%eth0]:53", "https://[::1]:8443/q?a=$(HOME)"],
            "healthAddress": "[::]:1",
            "metricsAddress": "10.0.0.1:65535",
            "allowTestRecipients": ["$$a@example.com"],
            "leaderElectionNamespace": "default",
        },
        "caBundle": {"kind": "Secret", "name": "a.b", "key": ".x_Y"},
        "podSecurityContext": {
            "runAsUser": 2147483647,
            "fsGroup": 0,
            "fsGroupChangePolicy": "OnRootMismatch",
            "sysctls": [{"name": "net.ipv4.ping_group_range", "value": "0 1"}],
            "seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"},
        },
        "securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}, "procMount": "Default"},
        "extraEnv": [
            {"name": "._a-b", "value": ""},
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "extraVolumes": [{"name": "8", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "8", "mountPath": "relative", "subPath": "a/..b"}],
        "networkPolicy": {
            "from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
            "extraEgress": [
                {"ports": [{"port": "a-8"}, {"port": 1, "endPort": 65535, "protocol": "SCTP"}]},
                {"to": [{"podSelector": {}, "namespaceSelector": {}}]},
            ],
        },
        "metrics": {"service": {"enabled": True, "annotations": {"prometheus.io/port": "8"}}},
    },
]


def test_what_the_schema_takes_the_api_server_takes(
    installed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    texts, file = [], tmp_path / "values.json"
    for release, values in (("8.a", ODD[0]), ("a" * 53, ODD[1])):
        file.write_text(json.dumps(values))
        where = ("template", release, helm.CHART, "--namespace", namespace)
        texts.append(helm.helm(*where, "--set", "crds.enabled=false", "--values", file).stdout)
    dry = ("--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts")
    done = installed.kubectl("apply", *dry, "-f", "-", input="\n---\n".join(texts))
    assert done.stdout.count("deployment.apps/") == 2


def of_a_version_before(directory: Path) -> Path:
    """The chart, packed, as it was when it had one value less."""
    older = Path(shutil.copytree(helm.CHART, directory / "older"))
    values = (older / "values.yaml").read_text()
    fewer = re.sub(r"^inUseWarning:\n(?: .*\n)+", "", values, flags=re.M)
    assert fewer != values
    (older / "values.yaml").write_text(fewer)
    (older / "values.schema.json").unlink()
    (older / "templates" / "in-use.yaml").unlink()
    helm.helm("package", older, "--version", "0.0.1", "--destination", directory)
    return directory / "postroom-0.0.1.tgz"


def test_the_key_is_made_once_and_kept_for_ever(release: Release, tmp_path: Path) -> None:
    key, here = f"{release.name}-ownership-key", f"settings.namespaces={{{release.namespace}}}"
    before = ("--set", f"{here},crds.enabled=false,settings.workers=7", "--wait=hookOnly")
    release.helm("install", of_a_version_before(tmp_path), *before)
    made = release.key(key)
    # What docs/helm.md says of it: a value that is new would have no default.
    assert "missing property 'inUseWarning'" in release.upgrade("--reuse-values", check=False)
    assert len(made) == 64
    release.upgrade()
    assert release.key(key) == made
    assert "--workers=7" in release.arguments()
    release.plane.kubectl(
        *("patch", "secret", key, "-n", release.namespace, "--type=merge", "-p"),
        '{"stringData": {"earlier": "one of sixteen characters"}}',
    )
    release.upgrade("--reset-then-reuse-values", "--set", "settings.workers=8")
    assert "--workers=8" in release.arguments()
    assert release.key(key) == made
    assert "earlier" in release.get("secret", key)["data"]
    release.helm("uninstall")
    assert release.get("deployment", release.name) == {}
    assert release.key(key) == made
    release.install("--set", here)
    assert release.key(key) == made


def test_a_lost_key_is_not_replaced_while_domains_use_it(release: Release) -> None:
    key, plane = f"{release.name}-ownership-key", release.plane
    where = ("-n", release.namespace)
    values = ("--set", f"settings.namespaces={{{release.namespace}}},crds.enabled=false")
    release.install(*values)
    first = release.key(key)
    # A provider's record is not made with it.
    given = {"domain": "given.example", "ownership": {"value": "provider=1"}}
    domain = {**DOMAIN, "metadata": {"name": "given"}, "spec": given}
    plane.kubectl("apply", *where, "-f", "-", input=json.dumps(domain))
    plane.kubectl("delete", "secret", key, *where)
    release.upgrade(*values)
    second = release.key(key)
    assert len(second) == 64
    assert second != first

    domain = {**DOMAIN, "metadata": {"name": "derived"}, "spec": {"domain": "a.example"}}
    plane.kubectl("apply", *where, "-f", "-", input=json.dumps(domain))
    plane.kubectl("delete", "secret", key, *where)
    said = release.upgrade(*values, check=False)
    assert f"the ownership key is lost: Secret {release.namespace}/{key} has no key" in said
    assert f"1 SendingDomain(s) ({release.namespace}/derived)" in said
    assert "set ownershipKey.replaceLost=true" in said
    # Neither the view of another release, which has seen no key, nor one of its own name.
    patch = json.dumps({"status": {"records": [TOKEN]}})
    subresource = ("--subresource=status", "--type=merge", "-p", patch)
    plane.kubectl("patch", "sendingdomain", "derived", *where, *subresource)
    release.helm("uninstall")
    for chosen in ((), ("--set", "ownershipKey.existingSecret=of-my-own")):
        assert "the ownership key is lost" in release.install(*values, *chosen, check=False)
    release.install(*values, "--set", "ownershipKey.replaceLost=true")
    assert len(release.key(key)) == 64
    assert release.key(key) != second


def test_a_key_that_people_put_there_outlives_upgrades_and_rollbacks(release: Release) -> None:
    key, where = f"{release.name}-ownership-key", ("-n", release.namespace)
    values = ("--set", f"settings.namespaces={{{release.namespace}}},crds.enabled=false")
    release.install(*values)
    release.plane.kubectl("delete", "secret", key, *where)
    restored = "a key from a backup"
    literal = f"--from-literal=key={restored}"
    release.plane.kubectl("create", "secret", "generic", key, *where, literal)
    release.upgrade(*values, "--set", "settings.workers=7")
    assert release.key(key) == restored
    # A key of now must not become that of the revision.
    release.helm("rollback", "1", "--wait=hookOnly")
    assert "--workers=7" not in release.arguments()
    assert release.key(key) == restored
    emptied = ("patch", "secret", key, *where, "--type=merge", "-p", '{"data": {"key": null}}')
    release.plane.kubectl(*emptied)
    assert "has no entry key: add one" in release.upgrade(*values, check=False)


def test_a_release_under_another_name_is_told_of_the_key_that_it_had(release: Release) -> None:
    values = ("--set", f"settings.namespaces={{{release.namespace}}},crds.enabled=false")
    release.install(*values)
    key = f"{release.name}-ownership-key"
    made = release.key(key)
    domain = {**DOMAIN, "metadata": {"name": "derived"}, "spec": {"domain": "a.example"}}
    apply(release.plane, json.dumps(domain), release.namespace)
    renamed = (*values, "--set", "fullnameOverride=renamed")
    said = release.upgrade(*renamed, check=False)
    assert f"If it is that of Secret {key}, because something was renamed" in said
    release.upgrade(*renamed, "--set", f"ownershipKey.existingSecret={key}")
    assert release.get("deployment", "renamed") != {}
    assert release.get("deployment", release.name) == {}
    assert release.key(key) == made


def test_no_key_is_made_by_who_sees_no_cluster(release: Release) -> None:
    release.install("--set", "settings.namespaces={x}", "--dry-run=client")
    seen = release.install(
        "--set", f"settings.namespaces={{{release.namespace}}}", "--dry-run=server"
    )
    assert "kind: Secret" in seen
    assert release.get("secret", f"{release.name}-ownership-key") == {}


@pytest.fixture
def by_kubectl(installed: ControlPlane) -> Iterator[Release]:
    """What `kubectl apply -k` has installed, with a key of its own, restored in the end."""
    create = ("create", "secret", "generic", KEY, "-n", NAMESPACE)
    installed.kubectl(*create, "--from-literal=key=made by kubectl, and kept")
    yield Release(installed, NAMESPACE)
    helm.helm(
        *("uninstall", "postroom", "-n", NAMESPACE, "--ignore-not-found"),
        kubeconfig=installed.kubeconfig,
    )
    installed.kubectl("delete", "secret", KEY, "-n", NAMESPACE)
    directory = str(ROOT / "manifests" / "install" / "cluster")
    installed.kubectl("apply", "--server-side", "--force-conflicts", "-k", directory)


def test_an_installation_by_kubectl_is_taken_over_and_leaves_what_matters(
    by_kubectl: Release, namespace: str
) -> None:
    plane, before = by_kubectl.plane, by_kubectl.get("secret", KEY)
    deployment = by_kubectl.get("deployment", "postroom")["metadata"]["uid"]
    domain = {**DOMAIN, "metadata": {"name": "kept"}, "spec": {"domain": "kept.example"}}
    apply(plane, json.dumps(domain), namespace)
    refused = by_kubectl.install("--set", "crds.enabled=true", check=False)
    assert "--take-ownership" in refused or "invalid ownership metadata" in refused
    by_kubectl.install("--set", "crds.enabled=true", "--take-ownership")
    assert by_kubectl.get("deployment", "postroom")["metadata"]["uid"] == deployment
    assert by_kubectl.get("secret", KEY) == before
    # Helm stores the release in one Secret, which may have a megabyte.
    (stored,) = json.loads(
        plane.kubectl("get", "secret", "-l", "owner=helm", "-n", NAMESPACE, "-o", "json").stdout
    )["items"]
    assert len(stored["data"]["release"]) < 700_000
    # kubectl is an owner of the fields still.
    by_kubectl.upgrade("--set", "replicas=2", "--force-conflicts")
    assert by_kubectl.get("deployment", "postroom")["spec"]["replicas"] == 2
    said = by_kubectl.helm("uninstall")
    assert said.count("[CustomResourceDefinition]") == 3
    assert by_kubectl.get("deployment", "postroom") == {}
    assert plane.kubectl("get", "clusterrole", "postroom", check=False).returncode != 0
    assert by_kubectl.get("secret", KEY) == before
    assert plane.kubectl("get", "sendingdomain", "kept", "-n", namespace).returncode == 0


@pytest.fixture(params=["cluster", "namespaced"])
def serving(
    release: Release, lab: LabProcess, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[OperatorProcess]:
    """An operator with the flags and the rights of a release that may write Secrets of bindings."""
    plane, here = release.plane, release.namespace
    values = "settings.allowBindings=true,settings.watchSecrets=true,settings.logFormat=text"
    if request.param == "namespaced":
        values += f",settings.namespaces={{{here}}}"
    release.install("--set", values)
    config = service_account_kubeconfig(plane, tmp_path, release.name, here)
    election = ("--leader-election", f"--leader-election-namespace={here}")
    flags = (*release.arguments(), *lab.reach.flags, *election)
    user = f"system:serviceaccount:{here}:{release.name}"
    process = OperatorProcess(config, tmp_path, flags)
    # One of another namespace may have worked before, and would be waited for.
    forget_installations(plane)
    yield process.start()
    process.stop()
    forget_installations(plane)
    asked = requests_of(plane, user)
    assert {"leases", "secrets"} <= {
        each["objectRef"]["resource"] for each in asked if "objectRef" in each
    }
    assert forbidden(asked) == [], process.tail()


def resources(directory: Path, **specs: dict[str, Any]) -> Path:
    """A chart of MailServers."""
    (directory / "templates").mkdir(parents=True)
    (directory / "Chart.yaml").write_text(
        json.dumps({"apiVersion": "v2", "name": "mail", "version": "0.1.0"})
    )
    for name, spec in specs.items():
        made = {"apiVersion": API_VERSION, "kind": "MailServer", "metadata": {"name": name}}
        (directory / "templates" / f"{name}.yaml").write_text(json.dumps({**made, "spec": spec}))
    return directory


def test_the_operator_works_with_the_rights_of_the_chart_and_helm_waits_for_it(
    serving: OperatorProcess, release: Release, lab: LabProcess, tmp_path: Path
) -> None:
    bound = Bound(release.plane, release.namespace, lab)
    bound.account("support", SUPPORT, binding={"secretName": "support-mail"})
    eventually(lambda: bound.is_ready("support"), "the account is ready")
    assert bound.text("support-mail", "password") == PASSWORDS[SUPPORT]

    relay = bound.get(SERVER, "relay")["spec"]
    where = ("--namespace", release.namespace, "--wait")
    config = release.plane.kubeconfig
    good = resources(tmp_path / "good", good=relay)
    helm.helm("install", "good", good, *where, "--timeout=120s", kubeconfig=config)
    broken = resources(tmp_path / "broken", broken={**relay, "host": "nowhere.mail.example.org"})
    verbs = itertools.chain(["install"], itertools.repeat("upgrade"))

    def says_our_sentence() -> bool:
        """Helm tells what is so when it gives up; until then nobody may have looked."""
        tried = (next(verbs), "broken", broken, *where, "--timeout=8s")
        done = helm.helm(*tried, kubeconfig=config, check=False)
        assert done.returncode != 0
        ready = conditions_of(release.get("mailserver", "broken")).get("Ready")
        told = f"MailServer/{release.namespace}/broken not ready" in done.stderr
        return told and ready is not None and ready["message"] in done.stderr

    eventually(says_our_sentence, "Helm says what we say")
