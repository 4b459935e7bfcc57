# SPDX-License-Identifier: Apache-2.0
"""From a kubeconfig, or the Pod's service account, to settings of a connection: for every verb.

The library's loader indexes into whatever the YAML holds and reads certificates late, so that a
broken file ends in a `KeyError` here and an `SSLError` there. Whatever it raises is looked at once
more, to name the place that is wrong.
"""

import base64
import binascii
import logging
import os
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from postroom.controller import server_urls
from postroom.controller.client_library import ApiClient, Configuration
from postroom.controller.client_library import config as kube_config
from postroom.controller.token_file import TokenFile

_SERVICE_HOST = "KUBERNETES_SERVICE_HOST"
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SERVICE_ACCOUNT_NAMESPACE = _SERVICE_ACCOUNT / "namespace"
_DEFAULT = "~/.kube/config"
#: The loader indexes into whatever the YAML holds, and goes down into it, hence the last six.
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
#: Fields that hold PEM in base64, and the file that may be named instead.
_PEM_FIELDS = {
    "clusters": ("certificate-authority",),
    "users": ("client-certificate", "client-key"),
}
_A_SERVER = "it must be a URL such as https://10.0.0.1:6443"
_A_PROXY = "it must be a URL such as http://10.0.0.1:3128, of a proxy that speaks HTTP"
_UNKNOWN = "it cannot be used: run kubectl with it to see why"
#: What no header may hold.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

#: Where the library says why a program gave no credentials; it goes on without any.
_LIBRARY = logging.getLogger("kubernetes.aio.config.kube_config")
_EXIT_CODE = re.compile(r"exec: process returned (-?\d+)")


class ConnectionSettingsError(Exception):
    """There is no usable way to an API server; the text is one sentence that says what is wrong."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How an API server is reached, and the namespace that is meant where none is named.

    `configuration` and `api` are the library's; whoever takes the connection closes `api`.
    """

    configuration: Any
    api: Any
    namespace: str


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
    context = context or None
    configuration: Any = Configuration()
    if connections is not None:
        configuration.connection_pool_maxsize = connections
    loaders: Any = kube_config
    try:
        if kubeconfig is None and in_cluster and os.environ.get(_SERVICE_HOST):
            loaders.load_incluster_config(client_configuration=configuration)
            if (fault := server_urls.fault_of(configuration.host)) is not None:
                raise ConnectionSettingsError(
                    f"the URL of KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT {fault}"
                )
            TokenFile(_SERVICE_ACCOUNT / "token").serve(configuration)
            _settle_proxy(configuration)
            return Connection(configuration, ApiClient(configuration), "default")
        paths = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG") or _DEFAULT
        if not any(file.exists() for file in _files(paths)):
            # The library would tell it, too, in words of its own.
            raise ConnectionSettingsError(_nowhere(paths))
        with _complaints() as complaints:
            await loaders.load_kube_config(
                config_file=paths,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
        if complaints:
            raise ConnectionSettingsError(_no_credentials(paths, context, complaints[0]))
        _refuse_unusable(configuration)
        token_file = _token_file(paths, context)
        if token_file is not None:
            TokenFile(token_file).serve(configuration)
        _settle_proxy(configuration)
        return Connection(configuration, ApiClient(configuration), _namespace(paths, context))
    except _UNUSABLE as error:
        if kubeconfig is None and in_cluster and os.environ.get(_SERVICE_HOST):
            raise ConnectionSettingsError(
                "the Pod's service account cannot be used: see that automountServiceAccountToken "
                "is not false"
            ) from None
        raise ConnectionSettingsError(_sentence(paths, context, error)) from None


def _settle_proxy(configuration: Any) -> None:
    """Take the proxy from the kubeconfig, else from HTTPS_PROXY and NO_PROXY, once and for all.

    The library's HTTP client would look at the environment for every request, in two threads, and
    into ~/.netrc, whose password it then would not know how to send beside a token.
    """
    configuration.client_session_kwargs = {"trust_env": False}
    if configuration.proxy is not None:
        return
    found = server_urls.proxy_of_environment(configuration.host)
    if found is None:
        return
    configuration.proxy, variable = found
    if (fault := server_urls.fault_of(configuration.proxy)) is not None:
        raise ConnectionSettingsError(f"{variable} {fault}: {_A_PROXY}")


def _refuse_unusable(configuration: Any) -> None:
    """Raise `ValueError` for what would fail at the first request, which nobody could place."""
    proxy, name = configuration.proxy, configuration.tls_server_name
    if (
        server_urls.fault_of_server(configuration.host) is not None
        or (proxy and server_urls.fault_of(proxy) is not None)
        or not isinstance(name, str | None)
        or _CONTROL.search(configuration.api_key.get("BearerToken", ""))
    ):
        raise ValueError


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what the library would log, of which some is what a program printed."""
    said: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            said.append(record.getMessage())
        return False

    _LIBRARY.addFilter(keep)
    try:
        yield said
    finally:
        _LIBRARY.removeFilter(keep)


def _no_credentials(paths: str, context: str | None, complaint: str) -> str:
    """That the program of a user gave none, with which nobody would be asked but as a stranger; of
    what it printed, which may hold a token, nothing is repeated."""
    contents = [content for file in _files(paths) if (content := _read(file)) is not None]
    inner = (_entry(contents, "contexts", context or _current(contents)) or {}).get("context") or {}
    name = inner.get("user")
    plugin = ((_entry(contents, "users", name) or {}).get("user") or {}).get("exec")
    told = plugin if isinstance(plugin, Mapping) else {}
    kubeconfig = "kubeconfig " + ", ".join(str(file) for file in _files(paths))
    if not all(isinstance(told.get(field), str) for field in ("apiVersion", "command")):
        return f"{kubeconfig}: exec of user {name} must have an apiVersion and a command"
    ended = _EXIT_CODE.match(complaint)
    if ended is not None:
        reason = f"it ended with {ended[1]}"
    elif complaint.startswith("[Errno"):
        reason = "it cannot be run"
    else:
        reason = "what it printed is no ExecCredential with a token, or with a certificate and key"
    return (
        f"{kubeconfig}: {told['command']}, which user {name} signs in with, gave no credentials "
        f"({reason}): run it yourself to see why"
    )


def _files(paths: str) -> list[Path]:
    return [Path(path).expanduser() for path in paths.split(os.pathsep) if path]


def _nowhere(paths: str) -> str:
    named = " or ".join(str(file) for file in _files(paths)) or f"in KUBECONFIG={paths}"
    return f"there is no kubeconfig {named}: give --kubeconfig, or set KUBECONFIG"


def _sentence(paths: str, context: str | None, error: Exception) -> str:
    """What is wrong with the files; never repeats a value of theirs but names."""
    files = _files(paths)
    named = ", ".join(str(file) for file in files)
    problem = next(_problems(files, context), None)
    if problem is None and isinstance(error, OSError) and error.filename:
        problem = f"{error.filename}, which it names, cannot be read ({error.strerror})"
    return f"kubeconfig {named}: {problem or _UNKNOWN}"


def _namespace(paths: str, context: str | None) -> str:
    contents = [content for file in _files(paths) if (content := _read(file)) is not None]
    entry = _entry(contents, "contexts", context or _current(contents))
    inner = entry.get("context") if entry is not None else None
    return str((inner if isinstance(inner, Mapping) else {}).get("namespace") or "default")


def _token_file(paths: str, context: str | None) -> Path | None:
    """The file that the user of a context signs in with, where that is how; of several kubeconfigs,
    relative to the one that names the user."""
    files = [file for file in _files(paths) if file.exists()]
    contents = [_read(file) or {} for file in files]
    chosen = (_entry(contents, "contexts", context or _current(contents)) or {}).get(
        "context"
    ) or {}
    for file, content in zip(files, contents, strict=True):
        user = (_entry([content], "users", chosen.get("user")) or {}).get("user") or {}
        if not user:
            continue
        named = user.get("tokenFile")
        return file.parent / named if isinstance(named, str) and not user.get("token") else None
    return None


class _Unreadable(ValueError):
    """What a file holds is no kubeconfig; the text continues its name."""


def _read(file: Path) -> Mapping[str, Any] | None:
    """Return what a file holds, None where there is no such file; raises `_Unreadable`."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise _Unreadable(f"it cannot be read ({reason})") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark is not None else ""
        raise _Unreadable(f"it is not YAML{line}") from None
    if not isinstance(content, Mapping):
        raise _Unreadable("it is empty, or no mapping of clusters, contexts and users")
    return content


def _problems(files: list[Path], context: str | None) -> Iterator[str]:
    """Yield what is wrong, in the order in which a reader would meet it."""
    contents: list[Mapping[str, Any]] = []
    for file in files:
        try:
            content = _read(file)
        except _Unreadable as error:
            yield str(error)
            return
        if content is not None:
            contents.append(content)
    for section in ("clusters", "contexts", "users"):
        for content in contents:
            entries = content.get(section) or []
            if not isinstance(entries, list) or not all(
                isinstance(entry, Mapping) and isinstance(entry.get("name"), str)
                for entry in entries
            ):
                yield f"{section} must be a list of entries with a name"
                return
    chosen = context or _current(contents)
    if not chosen:
        yield "it has no current-context: set one (kubectl config use-context), or give --context"
        return
    yield from _problems_of_context(contents, chosen)


def _problems_of_context(contents: Sequence[Mapping[str, Any]], chosen: object) -> Iterator[str]:
    entry = _entry(contents, "contexts", chosen)
    if entry is None:
        names = sorted(
            str(each["name"]) for content in contents for each in content.get("contexts") or []
        )
        yield f"there is no context {str(chosen)!r}" + (
            f" among {', '.join(names)}" if names else ""
        )
        return
    inner = entry.get("context")
    if not isinstance(inner, Mapping) or "cluster" not in inner:
        yield f"context {chosen} must name a cluster and a user"
        return
    for section, field in (("clusters", "cluster"), ("users", "user")):
        name = inner.get(field)
        if name is None:
            continue
        found = _entry(contents, section, name)
        body = found.get(field) if found is not None else None
        if not isinstance(body, Mapping):
            yield f"context {chosen} names {field} {name}, which {section} does not define"
            continue
        if section == "clusters":
            yield from _problems_of_cluster(name, body)
        else:
            yield from _problems_of_user(name, body)
        yield from _problems_of_pem(f"{field} {name}", section, body)


def _problems_of_cluster(name: object, body: Mapping[str, Any]) -> Iterator[str]:
    server, proxy = body.get("server"), body.get("proxy-url")
    if not (server and isinstance(server, str)):
        yield f"cluster {name} has no server: {_A_SERVER}"
    elif (fault := server_urls.fault_of_server(server)) is not None:
        yield f"server of cluster {name} {fault}: {_A_SERVER}"
    if proxy and (fault := server_urls.fault_of(proxy)) is not None:
        yield f"proxy-url of cluster {name} {fault}: {_A_PROXY}"
    if not isinstance(body.get("tls-server-name"), str | None):
        yield f"tls-server-name of cluster {name} must be the name in its certificate"


def _problems_of_user(name: object, body: Mapping[str, Any]) -> Iterator[str]:
    for field in ("token", "tokenFile", "username", "password"):
        if not isinstance(body.get(field), str | None):
            yield f"{field} of user {name} must be text"
    if _CONTROL.search(str(body.get("token") or "")):
        yield f"token of user {name} must be text in one line"
    if body.get("auth-provider") is not None:
        yield (
            f"auth-provider of user {name} gives no token: see its config, or have the user sign "
            "in by exec"
        )


def _problems_of_pem(owner: str, section: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with certificates and keys, each read as TLS would read it."""
    material: dict[str, bytes] = {}
    for name in _PEM_FIELDS[section]:
        data, file = body.get(f"{name}-data"), body.get(name)
        if data is not None:
            try:
                material[name] = base64.b64decode(str(data), validate=True)
            except (binascii.Error, ValueError):
                yield f"{name}-data of {owner} is not base64"
                continue
        elif file is not None:
            try:
                material[name] = Path(str(file)).expanduser().read_bytes()
            except OSError as error:
                yield f"{name} of {owner}, {file}, cannot be read ({error.strerror})"
                continue
        if name in material and b"-----BEGIN " not in material[name]:
            yield f"{name} of {owner} is not PEM (it must begin with -----BEGIN)"
    authority = material.get("certificate-authority")
    if authority is not None and b"-----BEGIN " in authority:
        try:
            ssl.create_default_context(cadata=authority.decode("ascii", "replace"))
        except (ssl.SSLError, ValueError):
            yield f"certificate-authority of {owner} is damaged: no certificate can be read from it"
    if "client-certificate" in material:
        yield f"client-certificate and client-key of {owner} are damaged, or do not fit together"


def _current(contents: Sequence[Mapping[str, Any]]) -> object:
    return next(
        (content["current-context"] for content in contents if content.get("current-context")), None
    )


def _entry(
    contents: Sequence[Mapping[str, Any]], section: str, name: object
) -> Mapping[str, Any] | None:
    for content in contents:
        entries = content.get(section)
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, Mapping) and entry.get("name") == name:
                return entry
    return None


def own_namespace() -> str | None:
    """Return the namespace of our Pod, None outside of a cluster."""
    try:
        return _SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
