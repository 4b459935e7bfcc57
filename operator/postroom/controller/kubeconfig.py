# SPDX-License-Identifier: Apache-2.0
"""From a kubeconfig, or the Pod's service account, to settings of a connection: for every verb.

The client library is given what was read as kubectl reads it (`kubeconfig_files`) and looked at
(`kubeconfig_problems`): its own loader has the last of several files say what is current, looks for
a user's files beside the cluster's, sends credentials over plain HTTP, and leaves out whom a user
asks as. Whatever it raises is looked at once more, to name the place that is wrong.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from postroom.controller import (
    environment_proxy,
    impersonation,
    kubeconfig_files,
    kubeconfig_problems,
    server_urls,
)
from postroom.controller.client_library import ApiClient, Configuration
from postroom.controller.client_library import config as kube_config
from postroom.controller.exec_credentials import CredentialProgram, NoCredentials
from postroom.controller.token_file import TokenFile

_SERVICE_HOST = "KUBERNETES_SERVICE_HOST"
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SERVICE_ACCOUNT_NAMESPACE = _SERVICE_ACCOUNT / "namespace"
_DEFAULT = "~/.kube/config"
#: The loader indexes into whatever it is given, and goes down into it, hence the last six.
_UNUSABLE = (
    kube_config.ConfigException,
    OSError,
    yaml.YAMLError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    RecursionError,
)
_UNKNOWN = "it cannot be used: run kubectl with it to see why"
_NO_PLACE = "there is no directory to keep its certificates in while it is used: set TMPDIR to one"
#: What a user signs in with, and goes before its program, as for kubectl.
_AT_HAND = ("token", "tokenFile", "username", "client-certificate", "client-certificate-data")


class ConnectionSettingsError(Exception):
    """There is no usable way to an API server; the text is one sentence that says what is wrong."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How an API server is reached, and the namespace that is meant where none is named.

    `configuration` and `api` are the library's; whoever takes the connection closes `api`.
    `asks_as` are the headers that say as whom is asked, where that is not the user itself.
    """

    configuration: Any
    api: Any
    namespace: str
    asks_as: tuple[tuple[str, str], ...] = ()


async def connection(
    kubeconfig: Path | None,
    context: str | None = None,
    *,
    in_cluster: bool = False,
    connections: int | None = None,
) -> Connection:
    """Find the way to the API server; raises `ConnectionSettingsError`.

    `kubeconfig` if given; else, with `in_cluster`, the Pod's service account where there is one;
    else the files of KUBECONFIG, else the default one. An empty `context` is none, as for kubectl.
    `connections` is the most that are open.
    """
    configuration: Any = Configuration()
    if connections is not None:
        configuration.connection_pool_maxsize = connections
    if kubeconfig is None and in_cluster and os.environ.get(_SERVICE_HOST):
        return _of_pod(configuration)
    paths = os.environ.get("KUBECONFIG") or _DEFAULT
    try:
        files = kubeconfig_files.files_of(paths, kubeconfig)
        found = any(file.exists() for file in files)
    except (OSError, RuntimeError) as error:
        # A closed directory, a name that is too long, or a home that nobody has.
        reason = getattr(error, "strerror", None) or "there is no such home directory"
        raise ConnectionSettingsError(
            f"kubeconfig {kubeconfig or paths}: it cannot be read ({reason})"
        ) from None
    if not found:
        where = " or ".join(str(file) for file in files) or f"in KUBECONFIG={paths}"
        told = f"there is no kubeconfig {where}: give --kubeconfig, or set KUBECONFIG"
        raise ConnectionSettingsError(told)
    named = f"kubeconfig {', '.join(str(file) for file in files)}"
    try:
        chosen = kubeconfig_files.chosen(files, context or None)
    except kubeconfig_files.UnusableKubeconfig as error:
        raise ConnectionSettingsError(f"{named}: {error}") from None
    if (problem := next(kubeconfig_problems.problems_of_fields(chosen), None)) is not None:
        raise ConnectionSettingsError(f"{named}: {problem}")
    try:
        return await _to(chosen, configuration)
    except NoCredentials as error:
        raise ConnectionSettingsError(
            f"{named}: {chosen.user['exec']['command']}, which user {chosen.user_name} signs in "
            f"with, gave no credentials ({error}): run it yourself to see why"
        ) from None
    except _UNUSABLE as error:
        raise ConnectionSettingsError(f"{named}: {_reason(chosen, error)}") from None


def _of_pod(configuration: Any) -> Connection:
    """The way by the service account."""
    loaders: Any = kube_config
    try:
        loaders.load_incluster_config(client_configuration=configuration)
        if (fault := server_urls.fault_of(configuration.host)) is not None:
            raise ConnectionSettingsError(
                f"the URL of KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT {fault}"
            )
        TokenFile(_SERVICE_ACCOUNT / "token").serve(configuration)
        _settle_proxy(configuration)
        return Connection(configuration, ApiClient(configuration), "default")
    except _UNUSABLE:
        raise ConnectionSettingsError(
            "the Pod's service account cannot be used: see that automountServiceAccountToken is "
            "not false"
        ) from None


async def _to(chosen: kubeconfig_files.Chosen, configuration: Any) -> Connection:
    """The way to a cluster, as its user; raises `NoCredentials`, and of `_UNUSABLE`."""
    cluster, user, program = dict(chosen.cluster), dict(chosen.user), None
    scheme, _, rest = str(cluster["server"]).partition("://")
    cluster["server"] = f"{scheme.lower()}://{rest}"
    if scheme.lower() != "https" and not environment_proxy.is_here(cluster["server"]):
        # As for kubectl: whatever lies between would read what the user signs in with. As whom it
        # asks is no secret, and whoever signs in for it on the way would else ask as itself.
        user = {field: user[field] for field in impersonation.FIELDS if field in user}
    told = user.pop("exec", None)
    if told is not None and not any(field in user for field in _AT_HAND):
        program = CredentialProgram(told, cluster)
        user |= (await program.credentials()).as_fields()
    loaders: Any = kube_config
    await loaders.load_kube_config_from_dict(
        {
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": "user"}}],
        },
        context="context",
        client_configuration=configuration,
    )
    if "tokenFile" in user:
        TokenFile(Path(user["tokenFile"])).serve(configuration)
    elif program is not None:
        program.serve(configuration)
    _settle_proxy(configuration)
    asks_as = impersonation.headers_of(user)
    return Connection(configuration, ApiClient(configuration), chosen.namespace, asks_as)


def _settle_proxy(configuration: Any) -> None:
    """Take the proxy from the kubeconfig, else from HTTPS_PROXY and NO_PROXY, once and for all.

    The library's HTTP client would look at the environment for every request, in two threads, and
    into ~/.netrc, whose password it then would not know how to send beside a token.
    """
    configuration.client_session_kwargs = {"trust_env": False}
    if configuration.proxy is not None:
        return
    found = environment_proxy.proxy_of_environment(configuration.host)
    if found is None:
        return
    configuration.proxy, variable = found
    if (fault := server_urls.fault_of_proxy(configuration.proxy)) is not None:
        raise ConnectionSettingsError(f"{variable} {fault}: {kubeconfig_problems.A_PROXY}")


def _reason(chosen: kubeconfig_files.Chosen, error: Exception) -> str:
    """What is wrong where the library, or TLS, failed."""
    problem = next(kubeconfig_problems.problems_of_files(chosen), None)
    if problem is None and isinstance(error, OSError) and error.filename:
        problem = f"{error.filename}, which it names, cannot be read ({error.strerror})"
    if problem is None and isinstance(error, FileNotFoundError):
        # That of `tempfile`, which has no name.
        problem = _NO_PLACE
    return problem or _UNKNOWN


def own_namespace() -> str | None:
    """Return the namespace of our Pod, None outside of a cluster."""
    try:
        return _SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
