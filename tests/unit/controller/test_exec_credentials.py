# SPDX-License-Identifier: Apache-2.0
"""A program that signs a user in is run as kubectl runs it, and never for ever.

Covers: what it is told; that it ends with what it started; much on standard error; what goes before
it; the next token before the end of one. That each failure is one sentence is with the connection.
"""

from __future__ import annotations

import asyncio
import functools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from postroom.controller import exec_credentials
from postroom.controller.exec_credentials import CredentialProgram, NoCredentials, fault_of
from postroom.controller.kubeconfig import connection
from unit.controller.test_kubeconfig import TRUSTED, V1, config, written
from unit.controller.test_run import until


def program(script: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": V1, "command": "sh", "args": ["-c", script], **fields}


def printing(**status: str) -> str:
    told = {"apiVersion": V1, "kind": "ExecCredential", "status": status}
    return f"printf %s '{json.dumps(told)}'"


async def test_it_is_told_who_asks(tmp_path: Path) -> None:
    seen, authority = tmp_path / "seen", tmp_path / "ca"
    authority.write_bytes(b"PEM")
    cluster = {
        "server": "https://h",
        "certificate-authority": str(authority),
        "proxy-url": "http://p:1",
        "extensions": [
            {"name": "other", "extension": 1},
            {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}},
        ],
    }
    told = program(
        f'echo "$KUBERNETES_EXEC_INFO $A" > {seen}; {printing(token="t")}',
        env=[{"name": "A", "value": "b"}],
        provideClusterInfo=True,
    )
    assert (await CredentialProgram(told, cluster).credentials()).token == "t"
    info, _, variable = seen.read_text().rpartition(" ")
    assert variable == "b\n"
    assert json.loads(info) == {
        "apiVersion": V1,
        "kind": "ExecCredential",
        "spec": {
            "interactive": False,
            "cluster": {
                "server": "https://h",
                "proxy-url": "http://p:1",
                "certificate-authority-data": "UEVN",
                "config": {"audience": "x"},
            },
        },
    }


async def test_one_that_does_not_end_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec_credentials, "_PATIENCE", 1.0)
    pids = tmp_path / "pids"
    script = f"sleep 1000 & echo $! $$ > {pids}; wait"
    with pytest.raises(NoCredentials, match="it did not end within 1 seconds"):
        await CredentialProgram(program(script), {}).credentials()
    for pid in pids.read_text().split():
        await until(functools.partial(_ended, int(pid)))


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_one_that_says_much_is_heard_out() -> None:
    """Of what it printed beside nothing is read: it would wait for a reader of each."""
    script = f"head -c 300000 /dev/zero >&2; {printing(token='t')}"
    assert (await CredentialProgram(program(script), {}).credentials()).token == "t"
    with pytest.raises(NoCredentials, match="it printed too much"):
        await CredentialProgram(program("cat /dev/zero"), {}).credentials()
    with pytest.raises(NoCredentials, match="signal 9 ended it"):
        await CredentialProgram(program("kill -9 $$"), {}).credentials()


async def test_standard_input_is_left_to_who_reads_it(tmp_path: Path) -> None:
    script = f"cat > {tmp_path / 'read'}; {printing(token='t')}"
    assert (await CredentialProgram(program(script), {}).credentials()).token == "t"
    assert (tmp_path / "read").read_bytes() == b""


@pytest.mark.parametrize("other", [{"token": "at-hand"}, {"username": "a", "password": "b"}])
async def test_what_is_at_hand_goes_before_it(other: dict[str, str], tmp_path: Path) -> None:
    path = written(
        config(TRUSTED, {"exec": program(f"touch {tmp_path}/ran; exit 1"), **other}), tmp_path
    )
    found = await connection(path)
    await found.api.close()
    assert found.configuration.api_key["BearerToken"] in ("Bearer at-hand", "Basic YTpi")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.123456+00:00"])
async def test_a_token_that_ends_is_replaced_before(form: str, tmp_path: Path) -> None:
    count = tmp_path / "count"
    soon = (datetime.now(UTC) + timedelta(seconds=30)).strftime(form)
    script = f"echo >> {count}; n=$(wc -l < {count}); " + printing(
        token="t'$n'", expirationTimestamp=soon
    )
    path = written(config(TRUSTED, {"exec": program(script)}), tmp_path)
    found = await connection(path)
    await found.api.close()
    assert found.configuration.api_key == {"BearerToken": "Bearer t1"}
    said = await asyncio.gather(*(found.configuration.auth_settings() for _ in range(3)))
    # One asks, and the others go on with what they have.
    assert sorted(each["BearerToken"]["value"] for each in said) == [
        "Bearer t1",
        "Bearer t1",
        "Bearer t2",
    ]
    assert count.read_text() == "\n\n"


def test_what_is_said_of_it_is_looked_at() -> None:
    assert fault_of(program("x", env=None, interactiveMode="IfAvailable")) is None
    assert fault_of([]) == "must have an apiVersion and a command"
    assert fault_of(program("x", args=[1])) == "must have a list of texts as args"
    assert fault_of(program("a\0")) == "must have no zero characters"
    wrong = fault_of(program("x", interactiveMode="Sometimes"))
    assert wrong == "must have Never, IfAvailable or Always as interactiveMode"


async def test_credentials_leave_over_tls_or_not_at_all(tmp_path: Path) -> None:
    """As of kubectl; to this machine they may be read by nobody else."""
    user = {"token": "t", "as": "jane"}
    for server, said in (
        ("http://192.0.2.1:8080", {}),
        ("http://127.0.0.1:8080", {"BearerToken": "Bearer t"}),
        ("HTTPS://192.0.2.1", {"BearerToken": "Bearer t"}),
    ):
        found = await connection(written(config(TRUSTED | {"server": server}, user), tmp_path))
        await found.api.close()
        assert found.configuration.api_key == said
        # Whoever signs in for it on the way would else ask with more rights.
        assert found.asks_as == (("Impersonate-User", "jane"),)
    # It is TLS in whatever case, and its authority is the cluster's.
    assert found.configuration.ssl_ca_cert


@pytest.mark.parametrize("ends", ["0001-01-01T00:00:00Z", "", "soon", None])
async def test_an_end_that_is_none_is_none(ends: str | None, tmp_path: Path) -> None:
    """Go writes its zero time where a program knows no end."""
    status = {"token": "t", "expirationTimestamp": ends}
    told = {"apiVersion": V1, "kind": "ExecCredential", "status": status}
    program = {"apiVersion": V1, "command": "echo", "args": [json.dumps(told)]}
    running = CredentialProgram(program, {})
    assert (await running.credentials()).ends is None
