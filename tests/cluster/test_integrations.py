# SPDX-License-Identifier: Apache-2.0
"""The shipped integrations on a real API server, with the schemas of those that they are for.

Covers: the Secrets of the External Secrets Operator and Sealed Secrets by their own definitions;
the plugins of k9s by its schema, and their commands; the rights of kube-state-metrics and
Backstage, and the label by which Backstage finds an account.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

import k9s
from cluster import forked, taking_effect
from cluster.api_client import administrator, apply
from cluster.consuming import Consumers
from cluster.objects import eventually
from postroom.api.names import GROUP, Kind
from postroom.lab.controlplane import ControlPlane
from state_map import INTEGRATIONS, Case, State

SECRETS, BACKSTAGE = INTEGRATIONS / "secrets", INTEGRATIONS / "backstage"
FOREIGN = pytest.mark.parametrize(
    ("name", "definition", "misspelt"),
    [
        ("external-secret.yaml", "externalsecrets.yaml", ("secretKey", "secretName")),
        ("sealed-secret.yaml", "sealedsecrets.yaml", ("encryptedData", "encrypted")),
    ],
)


@pytest.fixture(scope="module")
def consumers() -> Consumers:
    return Consumers.obtain_or_skip()


def example(path: Path, namespace: str) -> str:
    """An example, moved from its namespace into the test's."""
    moved, times = re.subn(r"(?<=namespace: )mail$", namespace, path.read_text(), flags=re.M)
    assert times == 1
    return moved


def lists(value: object) -> list[object]:
    """The outermost lists of an object, in the order of their names."""
    if isinstance(value, dict):
        return [each for name in sorted(value) for each in lists(value[name])]
    return [value] if isinstance(value, list) else []


@FOREIGN
def test_others_take_the_examples_for_secrets(
    installed: ControlPlane,
    consumers: Consumers,
    namespace: str,
    name: str,
    definition: str,
    misspelt: tuple[str, str],
) -> None:
    place = str(consumers.schemas / definition)
    installed.kubectl("apply", "--server-side", "-f", place)
    installed.kubectl("wait", "--for=condition=Established", "-f", place, "--timeout=120s")
    text = example(SECRETS / name, namespace)
    trial = ("create", "--dry-run=server", "--validate=strict", "-f", "-")
    # Discovery of a new kind takes a moment.
    eventually(
        lambda: installed.kubectl(*trial, input=text, check=False).returncode == 0, "it is taken"
    )
    taken = json.loads(installed.kubectl(*trial, "-o", "json", input=text).stdout)
    # Argo CD compares lists whole: what a definition puts into their entries has to stand there.
    assert lists(taken["spec"]) == lists(yaml.safe_load(text)["spec"])
    refused = installed.kubectl(*trial, input=text.replace(*misspelt), check=False)
    assert refused.returncode != 0
    installed.kubectl("delete", "-f", place, "--wait=false")


def test_k9s_takes_the_plugins(consumers: Consumers) -> None:
    schema = json.loads((consumers.schemas / "k9s-plugins.json").read_text())
    jsonschema.validate(k9s.PLUGINS, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"plugins": {"a": {"shortCut": "Shift-A"}}}, schema)


@pytest.fixture
def typed() -> Iterator[Path]:
    """Where the plugin is."""
    with forked.typed() as place:
        yield place


def test_keys_of_k9s_show_what_the_plugin_says(
    installed: ControlPlane, namespace: str, tmp_path: Path, typed: Path
) -> None:
    domain = Case(Kind.SENDING_DOMAIN, State.VERIFIED).captured()
    metadata = {"name": "verified"}
    text = yaml.safe_dump({**domain, "metadata": metadata})
    apply(installed, text, namespace)
    installed.kubectl(
        *("patch", "sdom/verified", "-n", namespace, "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": domain["status"]})),
    )
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "kubectl").symlink_to(installed.kubectl_path)
    # Where nobody looks, a pager only passes on.
    (commands / "less").write_text("#!/bin/sh\nexec cat\n")
    (commands / "less").chmod(0o755)
    context = yaml.load(installed.kubeconfig.read_text(), Loader=yaml.CSafeLoader)[
        "current-context"
    ]
    variables = {
        "NAMESPACE": namespace,
        "NAME": "verified",
        "RESOURCE_NAME": "sendingdomains",
        "CONTEXT": context,
        "KUBECONFIG": str(installed.kubeconfig),
    }
    # As of a k9s that was given --kubeconfig: what the environment names is another cluster.
    environment = {
        **os.environ,
        "PATH": f"{commands}:{typed}:{os.environ['PATH']}",
        "KUBECONFIG": str(tmp_path / "another"),
    }

    def shown(plugin: str) -> str:
        press = k9s.command(plugin, variables)
        ran = subprocess.run(press, env=environment, capture_output=True, text=True, check=True)
        return ran.stdout

    assert "1 object: 1 Ready." in shown("postroom-status")
    assert "provider-verify=verified" in shown("postroom-records")


@pytest.mark.parametrize(
    ("rights", "account", "verbs"),
    [
        ("kube-state-metrics/rbac.yaml", "kube-system:kube-state-metrics", {"list", "watch"}),
        ("backstage/rbac.yaml", "backstage:backstage", {"get", "list", "watch"}),
    ],
)
def test_rights_are_those_to_read(
    installed: ControlPlane, rights: str, account: str, verbs: set[str]
) -> None:
    place = str(INTEGRATIONS / rights)
    questions = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{account}",
                "resourceAttributes": {"group": GROUP, "resource": kind.plural, "verb": verb},
            },
        }
        for kind in Kind
        for verb in ("get", "list", "watch", "create", "update", "patch", "delete")
    ]
    asked = json.dumps({"apiVersion": "v1", "kind": "List", "items": questions})
    installed.kubectl("apply", "-f", place)
    taking_effect.await_rights(administrator(installed))
    try:
        attributes = ".spec.resourceAttributes"
        form = f'{{{attributes}.resource}} {{{attributes}.verb}} {{.status.allowed}}{{"\\n"}}'
        said = installed.kubectl("create", "-f", "-", f"-o=jsonpath={form}", input=asked).stdout
        answers = [line.split() for line in said.splitlines()]
        assert len(answers) == len(questions)
        granted = {(kind, verb) for kind, verb, allowed in answers if allowed == "true"}
        assert granted == {(kind.plural, verb) for kind in Kind for verb in verbs}
    finally:
        installed.kubectl("delete", "-f", place)


def test_backstage_finds_the_account_of_a_component(
    installed: ControlPlane, namespace: str
) -> None:
    account = example(BACKSTAGE / "emailaccount.yaml", namespace)
    apply(installed, account)
    component = yaml.load((BACKSTAGE / "catalog-info.yaml").read_text(), Loader=yaml.CSafeLoader)
    value = component["metadata"]["annotations"]["backstage.io/kubernetes-id"]
    selector = f"--selector=backstage.io/kubernetes-id={value}"
    found = installed.kubectl(
        "get", "emailaccounts", "-n", namespace, selector, "-o", "name"
    ).stdout
    assert found.split() == ["emailaccount.postroom.dev/support"]
