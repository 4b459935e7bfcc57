# SPDX-License-Identifier: Apache-2.0
"""Broken kubeconfigs: one sentence that names the place, in every verb that needs a cluster.

Covers: a table of broken files, each with its words; any YAML at all (property); several files in
KUBECONFIG; the namespace of the context; that no value of the file is repeated; the verbs as
processes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from postroom.api.masked import Masked
from postroom.cli import plugin
from postroom.cli.auth_secret import CannotApply, apply, secret_of
from postroom.controller.client import ApiError, Cluster
from postroom.controller.kubeconfig import ConnectionSettingsError, connection
from postroom.controller.lifecycle import EXIT_FAILED
from postroom.controller.run import run
from postroom.settings import load

SERVER = "https://127.0.0.1:9"
AUTHORITY = trustme.CA()
ISSUED = AUTHORITY.issue_cert("me.example")
OTHER = trustme.CA().issue_cert("other.example")


def encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


CA_DATA = encoded(AUTHORITY.cert_pem.bytes())
#: Of a cluster that names none all authorities of the system are read, for milliseconds.
TRUSTED = {"certificate-authority-data": CA_DATA}
CERTIFICATE = encoded(ISSUED.cert_chain_pems[0].bytes())
KEY, OTHER_KEY = (encoded(each.private_key_pem.bytes()) for each in (ISSUED, OTHER))


def config(
    cluster: Any = None, user: Any = None, context: Any = None, **fields: Any
) -> dict[str, Any]:
    named = {"cluster": "prod", "user": "me"} if context is None else context
    return {
        "clusters": [
            {
                "name": "prod",
                "cluster": {"server": SERVER} | (TRUSTED if cluster is None else cluster),
            }
        ],
        "users": [{"name": "me", "user": user or {"token": "canary-token"}}],
        "contexts": [{"name": "work", "context": named}],
        "current-context": "work",
        **fields,
    }


#: Each with the words that its sentence must have.
BROKEN: dict[str, tuple[Any, str]] = {
    "empty": ("", "it is empty, or no mapping"),
    "a list": ([1], "it is empty, or no mapping"),
    "no YAML": ("{", "it is not YAML (line"),
    "a pit": ("[" * 50_000, "it is not YAML"),
    "a number of clusters": ({"clusters": 5, "current-context": "x"}, "clusters must be a list"),
    "a context that is a number": (config(context=7), "context work must name a cluster"),
    "contexts without names": (config(contexts=[{"context": {}}]), "contexts must be a list of"),
    "contexts that are a number": (config(contexts=7), "contexts must be a list of entries"),
    "no current-context": (config(**{"current-context": None}), "it has no current-context"),
    "another current-context": (
        config(**{"current-context": "gone"}),
        "there is no context 'gone' among work",
    ),
    "a number as current-context": (config(**{"current-context": 7}), "there is no context '7'"),
    "a context without cluster": (config(context={"user": "me"}), "must name a cluster and a user"),
    "a cluster that is not there": (
        config(context={"cluster": "gone", "user": "me"}),
        "context work names cluster gone, which clusters does not define",
    ),
    "a user that is not there": (
        config(context={"cluster": "prod", "user": "gone"}),
        "context work names user gone, which users does not define",
    ),
    "a cluster without server": (config({"server": None}), "cluster prod has no server"),
    "a server that is no URL": (config({"server": 7}), "cluster prod has no server"),
    "a port that is too large": (
        config({"server": "https://127.0.0.1:99999"}),
        "server of cluster prod has a port that is no number from 1 to 65535: it must be a URL",
    ),
    "a port that is a word": (config({"server": "https://h:port"}), "prod has a port that is no"),
    "a server without host": (config({"server": "https://:6443"}), "server of cluster prod names"),
    "a server without scheme": (config({"server": "h:6443"}), "prod does not begin with https://"),
    "brackets that do not end": (config({"server": "https://[::1:1"}), "prod has a host in brack"),
    "a label that is empty": (config({"server": "https://a..b:1"}), "prod has a host that is no"),
    "a template of a server": (config({"server": "https://{{ host }}"}), "prod has a host that is"),
    "a server with a user": (config({"server": "https://u:canary-token@h"}), "prod holds a user"),
    "a proxy of SOCKS": (
        config(TRUSTED | {"proxy-url": "socks5://canary-token@127.0.0.1:9"}),
        "proxy-url of cluster prod names a proxy that speaks SOCKS, which postroom does not: it "
        "must be a URL such as http://10.0.0.1:3128, of a proxy that speaks HTTP",
    ),
    "a proxy's port": (config(TRUSTED | {"proxy-url": "http://h:99999"}), "proxy-url of cluster"),
    "a proxy that is a number": (config(TRUSTED | {"proxy-url": 7}), "cluster prod is no text"),
    "a name that is a number": (config(TRUSTED | {"tls-server-name": 7}), "tls-server-name of clu"),
    "a token of two lines": (
        config(user={"token": "canary-token\nb"}),
        "token of user me must be text in one line",
    ),
    "a password that is a number": (
        config(user={"username": "a", "password": 7}),
        "password of user me must be text",
    ),
    "a token's file that is a number": (config(user={"tokenFile": 7}), "tokenFile of user me must"),
    "a token's file that is gone": (
        config(user={"tokenFile": "/nowhere/token"}),
        "/nowhere/token, which it names, cannot be read (No such file or directory)",
    ),
    "a provider of tokens that has none": (
        config(user={"auth-provider": {"name": "gcp"}}),
        "auth-provider of user me gives no token: see its config, or have the user sign in by exec",
    ),
    "an authority that is no base64": (
        config({"certificate-authority-data": "abc"}),
        "certificate-authority-data of cluster prod is not base64",
    ),
    "an authority that is no PEM": (
        config({"certificate-authority-data": encoded(b"abc")}),
        "certificate-authority of cluster prod is not PEM",
    ),
    "a damaged authority": (
        config(
            {"certificate-authority-data": encoded(AUTHORITY.cert_pem.bytes().replace(b"M", b"*"))}
        ),
        "certificate-authority of cluster prod is damaged",
    ),
    "an authority that is not there": (
        config({"certificate-authority": "/nowhere/ca.crt"}),
        "certificate-authority of cluster prod, /nowhere/ca.crt, cannot be read",
    ),
    "a namespace that is no name": (
        config(context={"cluster": "prod", "user": "me", "namespace": "Mail_1"}),
        "namespace of context work is no name of a namespace: up to 63 lower-case letters, digits",
    ),
    "a namespace that is a number": (
        config(context={"cluster": "prod", "user": "me", "namespace": 7}),
        "namespace of context work is no name of a namespace",
    ),
    "groups of nobody": (
        config(user={"token": "canary-token", "as-groups": ["admins"]}),
        "user me: as-groups is nobody's without as: name the user in as",
    ),
    "a user to ask as of two lines": (
        config(user={"token": "canary-token", "as": "a\nb"}),
        "user me: as must be text in one line",
    ),
    "groups that are one": (
        config(user={"token": "canary-token", "as": "a", "as-groups": "admins"}),
        "user me: as-groups must be a list of texts in one line",
    ),
    "more of a user that is a list": (
        config(user={"token": "canary-token", "as": "a", "as-user-extra": ["x"]}),
        "user me: as-user-extra must be a mapping of names to lists of texts in one line",
    ),
    # Taken as true by whoever asks whether it is something.
    "a word for whether TLS is verified": (
        config(TRUSTED | {"insecure-skip-tls-verify": "false"}),
        "insecure-skip-tls-verify of cluster prod must be true or false",
    ),
    "a token beside a password": (
        config(user={"token": "canary-token", "username": "a", "password": "b"}),
        "user me has a token and a username: remove one of them",
    ),
    "two users of one name": (
        config(users=[{"name": "me", "user": {}}, {"name": "me", "user": {}}]),
        "users has two entries with the name me: remove one",
    ),
    "two documents": ("a: 1\n---\nb: 2\n", "it is several YAML documents, of which a kubeconfig"),
    "a provider of tokens that nobody knows": (
        config(user={"auth-provider": {"name": "azure"}}),
        "auth-provider of user me must have the name gcp or oidc: have the user sign in by exec",
    ),
    "a client certificate without its key": (
        config(user={"client-certificate-data": CERTIFICATE}),
        "user me has a client-certificate and no client-key",
    ),
    "a client certificate that is no base64": (
        config(user={"client-certificate-data": "abc", "client-key-data": KEY}),
        "client-certificate-data of user me is not base64",
    ),
    "a damaged client certificate": (
        config(user={"client-certificate-data": encoded(b"x"), "client-key-data": KEY}),
        "client-certificate of user me is not PEM",
    ),
    "another key": (
        config(user={"client-certificate-data": CERTIFICATE, "client-key-data": OTHER_KEY}),
        "client-certificate and client-key of user me are damaged, or do not fit",
    ),
}


V1 = "client.authentication.k8s.io/v1"


def plugin_of(command: str, *arguments: str) -> dict[str, Any]:
    return config(user={"exec": {"apiVersion": V1, "command": command, "args": list(arguments)}})


def credential(**status: str) -> dict[str, Any]:
    told = {"apiVersion": V1, "kind": "ExecCredential", "status": status}
    return plugin_of("echo", json.dumps(told))


GAVE_NONE = "which user me signs in with, gave no credentials"
BROKEN |= {
    "a plugin that fails": (
        plugin_of("sh", "-c", "echo canary-token >&2; exit 3"),
        f"sh, {GAVE_NONE} (it ended with 3)",
    ),
    "a plugin that is not there": (plugin_of("no-such-aws"), f"{GAVE_NONE} (it cannot be run)"),
    "a plugin that prints no JSON": (plugin_of("echo", "canary-token"), "is no ExecCredential"),
    "a plugin without a credential": (credential(other="canary-token"), "is no ExecCredential"),
    "a certificate without its key": (
        credential(clientCertificateData="canary-token"),
        "is no ExecCredential",
    ),
    "a plugin of another version": (
        plugin_of("echo", json.dumps({"apiVersion": "v2", "kind": "ExecCredential", "status": {}})),
        f"{GAVE_NONE} (what it printed is of another apiVersion than {V1})",
    ),
    "a plugin that wants a terminal": (
        config(
            user={"exec": {"apiVersion": V1, "command": "echo", "interactiveMode": "Always"}},
        ),
        f"{GAVE_NONE} (it asks something, and standard input is no terminal)",
    ),
    "a plugin's variable that is a number": (
        config(
            user={"exec": {"apiVersion": V1, "command": "a", "env": [{"name": "A", "value": 7}]}}
        ),
        "exec of user me must have a list of names and values, all texts, as env",
    ),
    "a plugin without a command": (
        config(user={"exec": {"apiVersion": V1}}),
        "exec of user me must have an apiVersion and a command",
    ),
}


def written(content: Any, directory: Path, name: str = "kubeconfig") -> Path:
    path = directory / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


async def sentence(path: Path) -> str:
    with pytest.raises(ConnectionSettingsError) as caught:
        await connection(path)
    return str(caught.value)


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_broken_is_named(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content, words = BROKEN[name]
    told = await sentence(written(content, tmp_path))
    assert words in told
    assert caplog.text == ""
    assert "\n" not in told
    assert not re.search(r"\w(Error|Exception)\b", told)
    for secret in ("canary-token", KEY, OTHER_KEY):
        assert secret not in told


@pytest.mark.parametrize("context", [None, "", "work"])
async def test_a_good_one_is_taken(context: str | None, tmp_path: Path) -> None:
    content = config(
        {"certificate-authority-data": CA_DATA},
        {"client-certificate-data": CERTIFICATE, "client-key-data": KEY},
        {"cluster": "prod", "user": "me", "namespace": "mail"},
    )
    found = await connection(written(content, tmp_path), context)
    await found.api.close()
    assert (found.configuration.host, found.namespace) == (SERVER, "mail")


async def test_a_plugin_that_gives_a_token_is_taken(tmp_path: Path) -> None:
    found = await connection(written(credential(token="canary-token"), tmp_path))
    await found.api.close()
    assert found.configuration.api_key == {"BearerToken": "Bearer canary-token"}


async def test_a_file_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = await sentence(tmp_path / "absent")
    assert told.startswith(f"there is no kubeconfig {tmp_path}/absent")
    for value, named in (
        (f"{tmp_path}/a:{tmp_path}/b", f"{tmp_path}/a or {tmp_path}/b"),
        (":", ""),
    ):
        monkeypatch.setenv("KUBECONFIG", value)
        with pytest.raises(ConnectionSettingsError, match=f"there is no kubeconfig {named}"):
            await connection(None)
    # Nobody else says so, in other words.
    assert caplog.records == []


@pytest.mark.parametrize("name", ["x" * 300, "~no-such-user-here/config"])
async def test_a_path_that_cannot_be(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", name)
    with pytest.raises(ConnectionSettingsError, match="it cannot be read"):
        await connection(None)


async def test_a_directory_in_its_place(tmp_path: Path) -> None:
    assert "cannot be read" in await sentence(tmp_path)


async def test_several_files_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = written(config(clusters=[], users=[]), tmp_path, "first")
    second = written(config(contexts=[]), tmp_path, "second")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path}/absent:{second}")
    found = await connection(None)
    await found.api.close()
    assert found.configuration.host == SERVER
    second.unlink()
    with pytest.raises(ConnectionSettingsError, match="names cluster prod, which clusters does"):
        await connection(None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["work", "prod", "me", "", "abc"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "cluster", "user", "context", "server", "certificate-authority-data"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "clusters": JSON,
            "users": JSON,
            "contexts": JSON,
            "current-context": JSON,
        },
    )
    | JSON
)
def test_whatever_it_holds_is_taken_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: Any
) -> None:
    path = written(content, tmp_path_factory.mktemp("k"))

    async def tried() -> None:
        try:
            found = await connection(path)
        except ConnectionSettingsError as error:
            assert "\n" not in str(error)
            assert not re.search(r"\w(Error|Exception)\b", str(error))
        else:
            await found.api.close()

    asyncio.run(tried())


@pytest.mark.parametrize("host", ["", "127.0.0.1", "[::1", "a..b", "a b"])
@pytest.mark.parametrize("port", ["", ":", ":1", ":0", ":65536", ":x"])
@pytest.mark.parametrize("field", ["server", "proxy-url"])
async def test_what_is_taken_can_be_asked(
    field: str, host: str, port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request ends with an error that only the HTTP client's authors can place."""
    path = written(config(TRUSTED | {field: f"http://{host}{port}"}), tmp_path)

    async def nowhere(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", nowhere)
    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", nowhere)
    try:
        cluster = Cluster(await connection(path))
    except ConnectionSettingsError as error:
        assert f"{field} of cluster prod" in str(error)
        return
    assert host == "127.0.0.1" and port in ("", ":", ":1")
    with pytest.raises(ApiError, match=r"cannot be reached|name is not found"):
        await cluster.served_kinds()
    await cluster.close()


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        ("http://canary-token@h:99999", "https_proxy has a port that is no number from 1 to 65535"),
        ("socks5://h:1", "https_proxy names a proxy that speaks SOCKS, which postroom does not"),
        ("ftp://h:1", "https_proxy does not begin with https:// or http:// and a host"),
    ],
)
async def test_a_proxy_of_the_environment_that_is_none_is_named(
    proxy: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("https_proxy", proxy)
    elsewhere = config(TRUSTED | {"server": "https://192.0.2.1:6443"})
    told = await sentence(written(elsewhere, tmp_path))
    assert told.startswith(f"{says}: it must be a URL such as http://10.0.0.1:3128")
    assert "canary" not in told


async def test_a_pod_is_told_which_variables_make_no_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kubernetes.aio.config import incluster_config

    for name in ("token", "ca.crt"):
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "tcp://10.0.0.1:443")
    with pytest.raises(ConnectionSettingsError, match=r"KUBERNETES_SERVICE_PORT has a (host|port)"):
        await connection(None, in_cluster=True)


#: The four that crashed.
FOUR = (
    "a context that is a number",
    "an authority that is no base64",
    "a damaged client certificate",
    "a cluster without server",
)
VERBS = (
    ["status"],
    ["verify", "sendingdomain/x"],
    ["records"],
    ["sync", "x"],
    ["test", "x"],
    ["backfill", "x"],
)


@pytest.mark.parametrize("name", FOUR)
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_each_verb_of_the_plugin_says_so(name: str, verb: list[str], tmp_path: Path) -> None:
    content, words = BROKEN[name]
    path = written(content, tmp_path)
    done = CliRunner().invoke(plugin.app, [*verb, "--kubeconfig", str(path)])
    assert done.exit_code == 2
    assert done.output.startswith(f"kubectl postroom: kubeconfig {path}: ")
    assert words in done.output
    assert done.output.count("\n") == 1


@pytest.mark.parametrize("name", FOUR)
async def test_signing_in_says_so(name: str, tmp_path: Path) -> None:
    content, words = BROKEN[name]
    path = written(content, tmp_path)
    with pytest.raises(CannotApply) as caught:
        await apply(secret_of("s", "mail", Masked("canary"), None), path, None)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", FOUR)
async def test_the_operator_says_so(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content, words = BROKEN[name]
    settings = load({"kubeconfig": written(content, tmp_path), "health_address": "off"}, {})
    assert await run(settings) == EXIT_FAILED
    assert words in caplog.text
    assert "Traceback" not in caplog.text
