# SPDX-License-Identifier: Apache-2.0
"""Several files are one, as kubectl reads them: the first that says something counts, and paths are
relative to the file that has them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from postroom.controller.kubeconfig import connection
from postroom.controller.kubeconfig_files import UnusableKubeconfig, chosen, files_of


def cluster(server: str, name: str = "c", **fields: Any) -> dict[str, Any]:
    return {"name": name, "cluster": {"server": server, **fields}}


def user(name: str = "u", **fields: Any) -> dict[str, Any]:
    return {"name": name, "user": fields}


def context(name: str = "x", **fields: str) -> dict[str, Any]:
    return {"name": name, "context": {"cluster": "c", "user": "u", **fields}}


def written(path: Path, **content: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        yaml.safe_dump({key.replace("_", "-"): value for key, value in content.items()})
    )
    return path


async def test_the_first_current_context_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client library takes that of the last file, and so would ask another cluster."""
    here, there = "http://127.0.0.1:1", "http://127.0.0.1:2"
    first = written(
        tmp_path / "first",
        clusters=[cluster(here, "here")],
        contexts=[context("mine", cluster="here", namespace="mine")],
        current_context="mine",
    )
    second = written(
        tmp_path / "second",
        clusters=[cluster(there, "there")],
        users=[user()],
        contexts=[context("theirs", cluster="there", namespace="theirs")],
        current_context="theirs",
    )
    for files, server, namespace in (
        ((first, second), here, "mine"),
        ((second, first), there, "theirs"),
    ):
        monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, files)))
        found = await connection(None)
        await found.api.close()
        assert (found.configuration.host, found.namespace) == (server, namespace)


def test_a_current_context_that_is_empty_says_nothing(tmp_path: Path) -> None:
    first = written(tmp_path / "first", contexts=[context()], current_context="")
    second = written(
        tmp_path / "second",
        clusters=[cluster("https://h")],
        users=[user(token="t")],
        current_context="x",
    )
    assert chosen([first, second], None).user == {"token": "t"}


def test_paths_are_relative_to_the_file_that_has_them(tmp_path: Path) -> None:
    """Those of a user to its own file, not to the cluster's."""
    files = [
        written(
            tmp_path / "a" / "config",
            clusters=[cluster("https://h", **{"certificate-authority": "ca.crt"})],
            contexts=[context()],
            current_context="x",
        ),
        written(
            tmp_path / "b" / "config",
            users=[
                user(
                    tokenFile="../token",
                    exec={"apiVersion": "v1", "command": "./sign-in"},
                    **{"client-certificate": "/x/crt", "client-key": "key"},
                )
            ],
        ),
    ]
    found = chosen(files, None)
    assert found.cluster["certificate-authority"] == str(tmp_path / "a" / "ca.crt")
    assert found.user == {
        "tokenFile": str(tmp_path / "token"),
        "client-certificate": "/x/crt",
        "client-key": str(tmp_path / "b" / "key"),
        "exec": {"apiVersion": "v1", "command": str(tmp_path / "b" / "sign-in")},
    }


def test_a_program_without_a_path_is_looked_for_in_path(tmp_path: Path) -> None:
    file = written(
        tmp_path / "config",
        clusters=[cluster("https://h")],
        users=[user(exec={"apiVersion": "v1", "command": "aws"})],
        contexts=[context()],
        current_context="x",
    )
    assert chosen([file], None).user["exec"]["command"] == "aws"


def test_fields_that_are_empty_say_nothing(tmp_path: Path) -> None:
    """So that a file is read where its text in place is there and empty."""
    file = written(
        tmp_path / "config",
        clusters=[cluster("https://h", **{"certificate-authority-data": ""})],
        users=[
            user(**{"client-certificate-data": "", "client-certificate": "/x/crt", "token": ""})
        ],
        contexts=[context(namespace="")],
        current_context="x",
    )
    found = chosen([file], None)
    assert (found.cluster, found.user) == (
        {"server": "https://h"},
        {"client-certificate": "/x/crt"},
    )
    assert found.namespace == "default"


def test_a_file_that_is_empty_says_nothing_beside_others(tmp_path: Path) -> None:
    file = written(
        tmp_path / "config",
        clusters=[cluster("https://h")],
        users=[{"name": "u", "user": None}],
        contexts=[context()],
        current_context="x",
    )
    assert chosen([Path("/dev/null"), tmp_path / "absent", file], None).user == {}
    with pytest.raises(UnusableKubeconfig, match="it is empty"):
        chosen([Path("/dev/null")], None)


async def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """As of a shell's process substitution."""
    told = written(
        tmp_path / "config",
        clusters=[cluster("http://127.0.0.1:9")],
        users=[user(token="t")],
        contexts=[context(namespace="mail")],
        current_context="x",
    ).read_bytes()
    reading, writing = os.pipe()
    try:
        os.write(writing, told)
        os.close(writing)
        found = await connection(Path(f"/dev/fd/{reading}"))
        await found.api.close()
    finally:
        os.close(reading)
    assert (found.namespace, found.configuration.api_key) == ("mail", {"BearerToken": "Bearer t"})


def test_no_file_is_read_without_end() -> None:
    with pytest.raises(UnusableKubeconfig, match="it is larger than 16 MiB"):
        chosen([Path("/dev/zero")], None)


def test_aliases_that_would_fill_the_memory_are_not_followed(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 40)
    )
    file = tmp_path / "config"
    file.write_text(f"{bomb}users: *a39\n")
    with pytest.raises(UnusableKubeconfig, match="users must be a list of entries with a name"):
        chosen([file], None)
    file.write_text(
        f"{bomb}clusters: [{{name: c, cluster: {{server: *a39}}}}]\n"
        "contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n"
    )
    assert chosen([file], None).cluster_name == "c"


def test_a_variable_names_files_and_an_option_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    paths = f"/a{os.pathsep}{os.pathsep}~/b"
    assert files_of(paths) == [Path("/a"), Path("/home/me/b")]
    # as of --kubeconfig=~/a, which a shell leaves as it is
    assert files_of(paths, Path("~/a:b")) == [Path("/home/me/a:b")]


@pytest.mark.parametrize("nobody", ["", None])
def test_a_context_may_have_no_user(nobody: str | None, tmp_path: Path) -> None:
    """`kubectl config set-context dev --cluster=c` writes an empty one."""
    there = cluster("https://192.0.2.1")
    named = {"name": "x", "context": {"cluster": "c", "user": nobody}}
    file = written(tmp_path / "f", clusters=[there], contexts=[named], current_context="x")
    found = chosen([file], None)
    assert (found.user_name, found.user) == ("", {})
