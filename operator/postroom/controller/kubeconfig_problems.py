# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the cluster and the user that a context of a kubeconfig leads to.

Each problem is a clause that continues the names of the files; none has a value of theirs but
names.
"""

import base64
import binascii
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from postroom.controller import exec_credentials, impersonation, server_urls
from postroom.controller.kubeconfig_files import Chosen

#: Fields that hold PEM in base64, and the file that may be named instead.
_PEM_FIELDS = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key"),
}
#: Providers of tokens that the client library knows.
_PROVIDERS = ("gcp", "oidc")
_A_SERVER = "it must be a URL such as https://10.0.0.1:6443"
A_PROXY = "it must be a URL such as http://10.0.0.1:3128, of a proxy that speaks HTTP"


def problems_of_fields(chosen: Chosen) -> Iterator[str]:
    """Yield what is wrong with fields, which would be seen late or not at all."""
    yield from _problems_of_cluster(chosen.cluster_name, chosen.cluster)
    yield from _problems_of_user(chosen.user_name, chosen.user)


def problems_of_files(chosen: Chosen) -> Iterator[str]:
    """Yield what is wrong with certificates and keys, of a connection that could not be made."""
    yield from _problems_of_pem("cluster", chosen.cluster_name, chosen.cluster)
    yield from _problems_of_pem("user", chosen.user_name, chosen.user)
    if "auth-provider" in chosen.user:
        yield (
            f"auth-provider of user {chosen.user_name} gives no token: see its config, or have "
            "the user sign in by exec"
        )


def _problems_of_cluster(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    server, proxy = body.get("server"), body.get("proxy-url")
    if not (server and isinstance(server, str)):
        yield f"cluster {name} has no server: {_A_SERVER}"
    elif (fault := server_urls.fault_of_server(server)) is not None:
        yield f"server of cluster {name} {fault}: {_A_SERVER}"
    if proxy and (fault := server_urls.fault_of_proxy(proxy)) is not None:
        yield f"proxy-url of cluster {name} {fault}: {A_PROXY}"
    if not isinstance(body.get("tls-server-name"), str | None):
        yield f"tls-server-name of cluster {name} must be the name in its certificate"
    if not isinstance(body.get("insecure-skip-tls-verify"), bool | None):
        # Any text is true, "false" as well.
        yield f"insecure-skip-tls-verify of cluster {name} must be true or false"
    yield from _problems_of_texts("cluster", name, body)


def _problems_of_user(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    yield from _problems_of_texts("user", name, body)
    if impersonation.CONTROL.search(str(body.get("token") or "")):
        yield f"token of user {name} must be text in one line"
    if "username" in body and signs_in_by_token(body):
        yield f"user {name} has a token and a username: remove one of them"
    provider = body.get("auth-provider")
    if provider is not None and (
        not isinstance(provider, Mapping) or provider.get("name") not in _PROVIDERS
    ):
        yield (
            f"auth-provider of user {name} must have the name {' or '.join(_PROVIDERS)}: have the "
            "user sign in by exec"
        )
    if "exec" in body and (fault := exec_credentials.fault_of(body["exec"])) is not None:
        yield f"exec of user {name} {fault}"
    yield from (f"user {name}: {fault}" for fault in impersonation.faults_of(body))


def _problems_of_texts(owner: str, name: str, body: Mapping[str, Any]) -> Iterator[str]:
    of_user = ("token", "tokenFile", "username", "password") if owner == "user" else ()
    pem = (each for field in _PEM_FIELDS[owner] for each in (field, f"{field}-data"))
    for field in (*of_user, *pem):
        if not isinstance(body.get(field), str | None):
            yield f"{field} of {owner} {name} must be text"


def signs_in_by_token(user: Mapping[str, Any]) -> bool:
    """Whether a user's token is at hand."""
    return "token" in user or "tokenFile" in user


def _problems_of_pem(owner: str, name: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with certificates and keys, each read as TLS would read it."""
    material: dict[str, bytes] = {}
    for field in _PEM_FIELDS[owner]:
        data, file = body.get(f"{field}-data"), body.get(field)
        if data is not None:
            try:
                material[field] = base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError):
                yield f"{field}-data of {owner} {name} is not base64"
                continue
        elif file is not None:
            try:
                material[field] = Path(file).read_bytes()
            except OSError as error:
                yield f"{field} of {owner} {name}, {file}, cannot be read ({error.strerror})"
                continue
        if field in material and b"-----BEGIN " not in material[field]:
            yield f"{field} of {owner} {name} is not PEM (it must begin with -----BEGIN)"
    authority = material.get("certificate-authority")
    if authority is not None and b"-----BEGIN " in authority:
        try:
            ssl.create_default_context(cadata=authority.decode("ascii", "replace"))
        except (ssl.SSLError, ValueError):
            yield (
                f"certificate-authority of {owner} {name} is damaged: no certificate can be read "
                "from it"
            )
    if "client-certificate" in material and "client-key" not in material:
        yield f"user {name} has a client-certificate and no client-key"
    elif "client-certificate" in material:
        yield (
            f"client-certificate and client-key of {owner} {name} are damaged, or do not fit "
            "together"
        )
