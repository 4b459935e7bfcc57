# SPDX-License-Identifier: Apache-2.0
"""Credentials from elsewhere: variables, files, a cluster; and which Secret wins."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from postroom.api.reasons import Reason
from postroom.cli import manifests
from postroom.cli.check import AT_ONCE, CheckInput, CheckRun, world_of
from postroom.cli.options import ExitCode
from postroom.cli.secret_stores import (
    CannotUse,
    ClusterSecrets,
    Credentialing,
    EnvironmentSecrets,
    FolderSecrets,
    SecretsFrom,
    SecretStore,
    named_secrets,
)
from postroom.controller.client import ApiError
from postroom.reconcile.status.remedies import WAITS
from postroom.reconcile.world import LookupUnavailable
from postroom.settings import load

SERVER = """\
apiVersion: postroom.dev/v1alpha1
kind: MailServer
metadata: {name: relay, namespace: mail}
spec: {host: smtp.invalid, credentialsRef: {name: relay-login}}
"""
VARIABLES = {
    "POSTROOM_SECRET__MAIL__RELAY_LOGIN__USERNAME": "me",
    "POSTROOM_SECRET__MAIL__RELAY_LOGIN__PASSWORD": "canary",
    "POSTROOM_SECRET__MAIL__RELAY_LOGIN__EMPTY": "",
}


async def test_each_key_has_a_variable() -> None:
    content = await EnvironmentSecrets(VARIABLES).secret("mail", "relay-login")
    assert content is not None
    assert {key: content.data[key].reveal() for key in content.data} == {
        "username": "me",
        "password": "canary",
    }
    assert content.data.get("empty") is None
    assert content.data.get("gone") is None
    assert "canary" not in repr(content)


@pytest.mark.parametrize("value", [None, ""])
async def test_variables_that_are_empty_are_none_so_that_nothing_is_tried(
    value: str | None,
) -> None:
    """CI hands out empty ones to what it does not trust."""
    name = "POSTROOM_SECRET__MAIL__RELAY_LOGIN__PASSWORD"
    store = EnvironmentSecrets({} if value is None else {name: value})
    with pytest.raises(LookupUnavailable, match="set POSTROOM_SECRET__MAIL__RELAY_LOGIN__USERNAME"):
        await store.secret("mail", "relay-login")


def test_two_secrets_with_the_same_variables_are_refused() -> None:
    with pytest.raises(CannotUse, match=r"mail/a-b and mail/a\.b would have the same variables"):
        EnvironmentSecrets({}, [("mail", "a-b"), ("mail", "a.b")])
    with pytest.raises(CannotUse):
        EnvironmentSecrets({}, [("mail", "x--y"), ("mail--x", "y")])
    # A variable of the one could be a key b--password of the other.
    with pytest.raises(CannotUse, match="mail/a and mail/a--b"):
        EnvironmentSecrets({}, [("mail", "z"), ("mail", "a--b"), ("mail", "a")])
    EnvironmentSecrets({}, [("mail", "a-b"), ("mail", "a-b"), ("mail-a", "b"), ("mail", "a-bc")])


async def test_what_is_no_text_is_no_variable() -> None:
    name = "POSTROOM_SECRET__MAIL__RELAY_LOGIN__"
    odd = os.fsdecode(b"\xff")
    content = await EnvironmentSecrets({f"{name}A": "a", f"{name}B": odd}).secret(
        "mail", "relay-login"
    )
    assert content is not None
    assert list(content.data) == ["a"]
    assert content.data.get("b") is None


@pytest.mark.parametrize("value", ["${PASSWORD}", "CHANGEME", "ENC[AES256_GCM,data:x]", "<token>"])
async def test_what_stands_in_for_a_credential_is_not_sent_wherever_it_comes_from(
    value: str, tmp_path: Path
) -> None:
    (tmp_path / "mail" / "relay-login").mkdir(parents=True)
    (tmp_path / "mail" / "relay-login" / "password").write_text(f"{value}\n")
    variables = {"POSTROOM_SECRET__MAIL__RELAY_LOGIN__PASSWORD": value}
    for store in (EnvironmentSecrets(variables), FolderSecrets(tmp_path)):
        with pytest.raises(LookupUnavailable, match="key password") as error:
            await store.secret("mail", "relay-login")
        assert value not in str(error.value)


async def test_a_key_that_cannot_be_read_is_no_verdict_and_a_pipe_is_not_waited_for(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "mail" / "relay-login"
    folder.mkdir(parents=True)
    (folder / "username").write_text("me")
    (folder / "more").mkdir()
    os.mkfifo(folder / "pipe")
    content = await FolderSecrets(tmp_path).secret("mail", "relay-login")
    assert content is not None
    assert list(content.data) == ["username"]
    (folder / "password").symlink_to("gone")
    with pytest.raises(LookupUnavailable, match=r"cannot be read from the folder .*\(No such file"):
        await FolderSecrets(tmp_path).secret("mail", "relay-login")


async def test_each_key_is_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "mail" / "relay-login"
    (folder / "..data").mkdir(parents=True)
    (folder / "username").write_text("me")
    (folder / "..data" / "password").write_text("canary\n")
    (folder / "password").symlink_to("..data/password")
    (folder / "binary").write_bytes(b"\xff")
    (folder / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    store = FolderSecrets(tmp_path)
    content = await store.secret("mail", "relay-login")
    assert content is not None
    assert {key: value.reveal() for key, value in content.data.items()} == {
        "username": "me",
        "password": "canary\n",
    }
    with pytest.raises(LookupUnavailable, match="into a file mail/gone/KEY"):
        await store.secret("mail", "gone")


class Api:
    """Answers as the API server does, and counts."""

    def __init__(self, answer: Mapping[str, object] | ApiError | None) -> None:
        self.answer, self.asked = answer, 0

    async def secret(self, namespace: str, name: str) -> Mapping[str, object] | None:
        self.asked += 1
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


async def test_a_secret_of_a_cluster_is_read_once_in_a_look_with_its_owners_word() -> None:
    encoded = base64.b64encode(b"canary").decode()
    note = {"postroom.dev/allowed-hosts": "smtp.example.com"}
    api = Api({"metadata": {"name": "a", "annotations": note}, "data": {"password": encoded}})
    store = ClusterSecrets(api)
    for _ in range(2):
        content = await store.secret("mail", "a")
        assert content is not None
        assert content.data["password"].reveal() == "canary"
        assert content.allowed_hosts == ("smtp.example.com",)
    assert api.asked == 1
    # Somebody waits until it is mended there.
    store.begin_look()
    api.answer = None
    assert await store.secret("mail", "a") is None
    assert await ClusterSecrets(Api(None)).secret("mail", "a") is None


async def test_each_look_reads_what_is_stored_then() -> None:
    api = Api(None)
    store = ClusterSecrets(api)
    world = world_of(manifests.Manifests(), load({}, {}), store=store)
    for _ in range(2):
        await world.check(AT_ONCE)
        await store.secret("mail", "a")
    await world.outbound.close()
    assert api.asked == 2


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "credentials of your kubeconfig are refused"),
        (403, "may not get secrets in namespace mail"),
        (0, "does not answer"),
    ],
)
async def test_what_the_api_server_refuses_is_a_sentence(status: int, says: str) -> None:
    with pytest.raises(LookupUnavailable, match=says) as refused:
        await ClusterSecrets(Api(ApiError("GET secret", status))).secret("mail", "a")
    assert refused.value.reason is Reason.CREDENTIALS_ELSEWHERE, "no wait mends that"


async def test_nobody_is_told_to_wait_for_what_is_not_at_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Reason.CREDENTIALS_ELSEWHERE not in WAITS
    (tmp_path / "a.yaml").write_text(SERVER)
    source = CheckInput([str(tmp_path / "a.yaml")], "default")
    credentials = Credentialing(source=SecretsFrom.ENV)
    run = CheckRun(source, load({}, {}), "table", quiet=False, credentials=credentials)
    assert await run.once(timedelta()) == ExitCode.COULD_NOT_LOOK
    told = capsys.readouterr().out
    assert "Fix: Bring the Secret along" in told
    assert "wait" not in told.lower()


@pytest.mark.parametrize("watches", [False, True])
async def test_a_kubeconfig_that_is_none_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, watches: bool
) -> None:
    (tmp_path / "a.yaml").write_text(SERVER)
    credentials = Credentialing(source=SecretsFrom.CLUSTER, kubeconfig=tmp_path / "gone")
    assert await code_of(tmp_path / "a.yaml", credentials, watches) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.startswith("postroom check: --secrets-from cluster: ")


async def test_a_watch_ends_where_an_edit_gives_two_secrets_the_same_variables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one's password must not go to the other's server, whenever that one is added."""
    file = tmp_path / "a.yaml"
    file.write_text(SERVER)
    other = SERVER.replace("relay", "other").replace("other-login", "relay.login")

    async def edited(self: CheckRun, stamp: object) -> bool:
        file.write_text(f"{SERVER}---\n{other}")
        return True

    monkeypatch.setattr(CheckRun, "_changes", edited)
    ended = await code_of(file, Credentialing(source=SecretsFrom.ENV), watches=True)
    assert ended == ExitCode.BAD_INPUT
    assert "would have the same variables" in capsys.readouterr().err


async def code_of(file: Path, credentials: Credentialing, watches: bool = False) -> int:
    run = CheckRun(
        CheckInput([str(file)], "default"),
        load({}, {}),
        "json",
        quiet=True,
        credentials=credentials,
    )
    try:
        return await (run.watch() if watches else run.once(timedelta()))
    except typer.Exit as ended:
        return ended.exit_code


def sealed(**annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "relay-login", "namespace": "mail", "annotations": annotations},
        "stringData": {"password": "ENC[x]"},
        "sops": {},
    }


def plain() -> dict[str, Any]:
    metadata = {"name": "relay-login", "namespace": "mail"}
    data = {"username": "other", "password": "written"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


async def held(folder: Path, store: SecretStore | None, *beside: dict[str, Any]) -> Any:
    (folder / "a.yaml").write_text("---\n".join([SERVER, *map(yaml.safe_dump, beside)]))
    found = manifests.load([folder / "a.yaml"], "default")
    assert found.complaints == []
    world = world_of(found, load({}, {}), store=store)
    try:
        return await world.secret("mail", "relay-login")
    finally:
        await world.outbound.close()


async def test_content_of_the_input_wins_and_what_stands_for_content_does_not(
    tmp_path: Path,
) -> None:
    store = EnvironmentSecrets(VARIABLES)
    assert (await held(tmp_path, store)).data["password"].reveal() == "canary"
    assert (await held(tmp_path, store, plain())).data["password"].reveal() == "written"
    found = await held(tmp_path, store, sealed(**{"postroom.dev/allowed-hosts": "a.example"}))
    assert found.data["password"].reveal() == "canary"
    # The manifest in Git is where the owner speaks.
    assert found.allowed_hosts == ("a.example",)


async def test_a_secret_that_a_cluster_has_not_got_yet(tmp_path: Path) -> None:
    store = ClusterSecrets(Api(None))
    assert await held(tmp_path, store) is None
    with pytest.raises(LookupUnavailable, match="is encrypted by SOPS"):
        await held(tmp_path, store, sealed())


def test_the_secrets_that_an_input_names(tmp_path: Path) -> None:
    account = {
        "apiVersion": "postroom.dev/v1alpha1",
        "kind": "EmailAccount",
        "metadata": {"name": "a"},
        "spec": {
            "address": "a@b.example",
            "credentialsRef": {"name": "one"},
            "imap": {"host": "imap.b.example", "credentialsRef": {"name": "two"}},
        },
    }
    (tmp_path / "a.yaml").write_text(SERVER + "---\n" + yaml.safe_dump(account))
    found = manifests.load([tmp_path], "default")
    wanted = [("default", "one"), ("default", "two"), ("mail", "relay-login")]
    assert named_secrets(found) == wanted
