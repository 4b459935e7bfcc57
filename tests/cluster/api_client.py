# SPDX-License-Identifier: Apache-2.0
"""The API server asked from this process: kubectl takes 50 ms of CPU for each call, and 200 for an
`apply`, for which it reads the schemas.

For what tests prepare and wait for. What users type and read is run with kubectl.
"""

from __future__ import annotations

import atexit
import json
import ssl
import tempfile
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from threading import get_ident
from typing import Any

import yaml

from cluster import taking_effect
from cluster.client import Client
from cluster.waiting import eventually
from postroom.api.names import API_VERSION, GROUP, Kind
from postroom.lab import operator_process
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ACCOUNT, NAMESPACE, ROOT

_TOKEN_SECONDS = 7200
#: The definition may have gone before, and thousands may take longer than a request.
_LEFT_TO_THE_NAMESPACE = (HTTPStatus.NOT_FOUND, HTTPStatus.GATEWAY_TIMEOUT)
#: Fields that the API server does not know are an error, as kubectl has it.
_STRICTLY = "?fieldValidation=Strict"
_APPLIED = f"{_STRICTLY}&fieldManager=kubectl&force=true"
_LEASES, _SCOPE = "/apis/coordination.k8s.io/v1", "postroom.dev/scope"


@cache
def _client(kubeconfig: Path, thread: int) -> Client | None:
    """None where the administrator signs in by something else than a certificate.

    One for each thread: some tests read at the moment at which a server of theirs is asked.
    """
    config = yaml.load(kubeconfig.read_text(), Loader=yaml.CSafeLoader)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    names = ("client-certificate-data", "client-key-data")
    if not all(name in user for name in names) or "certificate-authority-data" not in cluster:
        return None
    authority = b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.TemporaryDirectory() as directory:
        pair = Path(directory) / "pair.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(b"\n".join(b64decode(user[name]) for name in names))
        context.load_cert_chain(pair)
    client = Client(cluster["server"], context)
    # It serves until the tests end, whichever file is the last.
    atexit.register(client.close)
    return client


def administrator(plane: ControlPlane) -> Client:
    """The administrator of a control plane that is ours."""
    client = _client(plane.kubeconfig, get_ident())
    assert client is not None, "the administrator of the control plane has no certificate"
    return client


def read(plane: ControlPlane, path: str) -> dict[str, Any]:
    """What a GET of a path answers."""
    client = _client(plane.kubeconfig, get_ident())
    if client is not None:
        return client.request("GET", path)
    found: dict[str, Any] = json.loads(plane.kubectl("get", "--raw", path).stdout)
    return found


def merge(plane: ControlPlane, path: str, changed: dict[str, Any]) -> None:
    """Change what lies at a path (RFC 7396)."""
    administrator(plane).request("PATCH", path, changed, written_as="application/merge-patch+json")


def post(plane: ControlPlane, path: str, made: dict[str, Any]) -> None:
    """Create an object in a collection."""
    administrator(plane).request("POST", path, made)


def refusal(
    plane: ControlPlane,
    method: str,
    path: str,
    body: object,
    *,
    dry: bool = False,
    user: str = "",
    group: str = "",
) -> str:
    """What the API server says against a request, as kubectl sends and shows it; nothing if it
    takes it. `user` and `group` are who asks in the administrator's place."""
    client = administrator(plane)
    written_as = "merge-patch+json" if method == "PATCH" else "json"
    headers = {"Content-Type": f"application/{written_as}"}
    headers |= {"Impersonate-User": user} if user else {}
    headers |= {"Impersonate-Group": group} if group else {}
    query = f"{_STRICTLY}&dryRun=All" if dry else _STRICTLY
    status, found = client.answer(method, f"{path}{query}", body, headers)
    return str(found["message"]) if status >= 400 else ""


def create(plane: ControlPlane, manifests: Iterable[dict[str, Any]], namespace: str) -> None:
    """Create objects one after the other, as fast as the API server takes them."""
    client = administrator(plane)
    places = _Places(client)
    for manifest in manifests:
        client.request("POST", places.of(manifest).collection(namespace), manifest)


def apply(plane: ControlPlane, manifests: str, namespace: str = "") -> None:
    """Have what manifests say, as `kubectl apply --server-side --force-conflicts` does."""
    client = _client(plane.kubeconfig, get_ident())
    if client is None:
        where = ("-n", namespace) if namespace else ()
        wanted = ("--server-side", "--force-conflicts")
        plane.kubectl("apply", *wanted, *where, "-f", "-", input=manifests)
        return
    places = _Places(client)
    for manifest in _each_of(manifests):
        metadata = manifest["metadata"]
        collection = places.of(manifest).collection(metadata.get("namespace") or namespace)
        path = f"{collection}/{metadata['name']}{_APPLIED}"
        client.request("PATCH", path, manifest, written_as="application/apply-patch+yaml")


def reinstall(plane: ControlPlane) -> None:
    """Have definitions and rights again as `kubectl apply -k` left them."""
    apply(plane, plane.kubectl("kustomize", str(ROOT / "manifests" / "install" / "cluster")).stdout)


def _each_of(manifests: str) -> Iterator[dict[str, Any]]:
    """The objects of documents and of their Lists."""
    for document in yaml.load_all(manifests, Loader=yaml.CSafeLoader):
        if document is not None:
            yield from document["items"] if document["kind"] == "List" else [document]


@dataclass(frozen=True)
class _Place:
    """Where objects of a kind are."""

    group: str
    plural: str
    namespaced: bool

    def collection(self, namespace: str) -> str:
        """All of them in a namespace, if they are in one."""
        within = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{self.group}{within}/{self.plural}"


class _Places:
    """Where objects are, by what the API server says of each kind once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._found: dict[tuple[str, str], _Place] = {}

    def of(self, manifest: Mapping[str, Any]) -> _Place:
        version, kind = manifest["apiVersion"], manifest["kind"]
        if (version, kind) not in self._found:
            self._found[version, kind] = self._look_for(version, kind)
        return self._found[version, kind]

    def _look_for(self, version: str, kind: str) -> _Place:
        group = f"/apis/{version}" if "/" in version else f"/api/{version}"
        places: list[_Place] = []

        def is_found() -> bool:
            _, told = self._client.answer("GET", group, None, {})
            places.extend(
                _Place(group, found["name"], found["namespaced"])
                for found in told.get("resources", [])
                if found["kind"] == kind and "/" not in found["name"]
            )
            return bool(places)

        # A kind is told of a moment after its definition is established.
        eventually(is_found, f"the API server knows {kind} of {version}")
        return places[0]


def delete(plane: ControlPlane, path: str) -> None:
    """Delete what lies at a path."""
    administrator(plane).request("DELETE", path)


def await_definitions(plane: ControlPlane) -> None:
    """Wait until our kinds are served: of all that are defined, others may be about to go."""
    names = [f"crd/{kind.plural}.{GROUP}" for kind in Kind]
    plane.kubectl("wait", "--for=condition=Established", *names, "--timeout=120s")


def service_account_kubeconfig(
    plane: ControlPlane, directory: Path, account: str = ACCOUNT, namespace: str = NAMESPACE
) -> Path:
    """Write a kubeconfig that authenticates as a ServiceAccount, and nothing more; what that was
    granted before is in force."""
    client = _client(plane.kubeconfig, get_ident())
    if client is None:
        return operator_process.service_account_kubeconfig(plane, directory, account, namespace)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    made = client.request("POST", path, {"spec": {"expirationSeconds": _TOKEN_SECONDS}})
    token = str(made["status"]["token"])
    taking_effect.await_rights(client)
    taking_effect.await_token(client, token)
    return operator_process.token_kubeconfig(plane, directory, token)


def create_namespace(plane: ControlPlane, name: str) -> None:
    client = _client(plane.kubeconfig, get_ident())
    if client is None:
        plane.kubectl("create", "namespace", name)
    else:
        client.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})


def delete_namespace(plane: ControlPlane, name: str) -> None:
    """Without waiting until it is gone; what the next test may want as its own goes at once."""
    client = _client(plane.kubeconfig, get_ident())
    if client is None:
        plane.kubectl("delete", "namespace", name, "--wait=false")
        return
    _empty(client, name)
    client.request("DELETE", f"/api/v1/namespaces/{name}")


def leave_namespace(plane: ControlPlane, name: str) -> None:
    """Be done with a namespace whose name nobody gives again.

    What others would see of it goes. It stays itself where the API server ends with the tests: to
    delete it takes seventy requests of a controller.
    """
    if plane.audit_log is None:
        delete_namespace(plane, name)
        return
    client = administrator(plane)
    if not _empty(client, name):
        client.request("DELETE", f"/api/v1/namespaces/{name}")


def _empty(client: Client, namespace: str) -> bool:
    """Delete all objects of our kinds, and services: their addresses are free then, and not five
    seconds later, when the controller begins with a namespace that is deleted.

    Returns whether all have gone.
    """
    is_empty = True
    for kind in Kind:
        path = f"/apis/{API_VERSION}/namespaces/{namespace}/{kind.plural}"
        status, found = client.answer("DELETE", path, None, {})
        is_empty = is_empty and status < 400
        assert status < 400 or status in _LEFT_TO_THE_NAMESPACE, found
    client.request("DELETE", f"/api/v1/namespaces/{namespace}/services")
    return is_empty


def forget_installations(plane: ControlPlane) -> None:
    """Delete the Leases by which an installation for all namespaces is waited for after its end.

    Each namespace's at once: kubectl asks for one after the other, five a second.
    """
    client = _client(plane.kubeconfig, get_ident())
    if client is None:
        plane.kubectl("delete", "leases", "-A", "-l", _SCOPE)
        return
    wanted = f"leases?labelSelector={_SCOPE}"
    found = client.request("GET", f"{_LEASES}/{wanted}")
    for place in {lease["metadata"]["namespace"] for lease in found["items"]}:
        client.request("DELETE", f"{_LEASES}/namespaces/{place}/{wanted}")
