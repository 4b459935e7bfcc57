# SPDX-License-Identifier: Apache-2.0
"""The operator as a subprocess: as whom it signs in, when it is ready, and what a failure shows."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from postroom.lab.operator_process import (
    ROOT,
    OperatorFailed,
    OperatorProcess,
    OwnPort,
    free_port,
    service_account_kubeconfig,
)


class Plane:
    """Issues a token, and holds what the administrator signs in with."""

    def __init__(self, directory: Path) -> None:
        self.kubeconfig = directory / "admin"
        self.asked: list[tuple[str, ...]] = []
        cluster = {"name": "here", "cluster": {"server": "https://127.0.0.1:6443"}}
        admin = {"name": "admin", "user": {"client-key-data": "of the administrator"}}
        context = {"name": "admin", "context": {"cluster": "here", "user": "admin"}}
        config = {"clusters": [cluster], "users": [admin], "contexts": [context]}
        self.kubeconfig.write_text(yaml.safe_dump({**config, "current-context": "admin"}))

    def kubectl(
        self, *args: str, input: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        self.asked.append(args)
        return subprocess.CompletedProcess(args, 0, "a-token\n", "")


def test_it_signs_in_with_a_token_of_its_own_and_nothing_more(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    path = service_account_kubeconfig(plane, tmp_path, "someone", "somewhere")
    config = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    (command,) = plane.asked
    assert command[:5] == ("create", "token", "someone", "-n", "somewhere")
    assert config["users"] == [{"name": "operator", "user": {"token": "a-token"}}]
    (context,) = config["contexts"]
    assert config["current-context"] == context["name"]
    assert context["context"] == {"cluster": "here", "user": "operator"}
    assert "administrator" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_free_port_can_be_had() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))


ANOTHER = """
import sys
from itertools import count
from postroom.lab import operator_process
operator_process._numbers = count(int(sys.argv[1]))
print(operator_process.free_port())
"""


def port_of_another_process(first: int) -> int:
    """What a process is given that tries this port first."""
    command = [sys.executable, "-c", ANOTHER, str(first - 20000)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_port_is_given_to_nobody_else_while_nobody_listens_at_it(tmp_path: Path) -> None:
    mine = OwnPort()
    assert port_of_another_process(mine.number) != mine.number
    running = OperatorProcess(tmp_path / "kubeconfig", tmp_path)
    assert port_of_another_process(running.port) != running.port


def test_a_port_is_let_go_with_who_had_it() -> None:
    mine = OwnPort()
    token = mine._token
    del mine
    assert token.fileno() == -1


class Program(OperatorProcess):
    """Runs another program in the place of the operator."""

    def __init__(self, directory: Path, program: str) -> None:
        super().__init__(directory / "kubeconfig", directory)
        self._command = [self._command[0], "-c", program.replace("PORT", str(self.port))]


ANSWERS = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in ("/readyz", "/metrics") else 503)
        self.end_headers()
        self.wfile.write(b"up 1")
    def log_message(self, *_):
        pass
print("it listens", flush=True)
http.server.HTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
"""


def test_it_is_ready_when_it_says_so_and_ends_when_it_is_told(tmp_path: Path) -> None:
    running = Program(tmp_path, ANSWERS)
    assert (running.exit_code(), running.stop()) == (None, 0)
    with pytest.raises(OperatorFailed, match="was not started"):
        _ = running.pid
    running.start()
    assert running.answers("/readyz")
    assert not running.answers("/healthz")
    assert (running.metrics(), running.tail()) == ("up 1", "it listens")
    assert running.exit_code() is None
    os.kill(running.pid, 0)
    assert running.stop() == 7
    assert not running.answers("/readyz")


def test_one_that_is_killed_does_not_end_by_itself(tmp_path: Path) -> None:
    with Program(tmp_path, ANSWERS) as running:
        running.kill()
        assert running.exit_code() == -signal.SIGKILL
        assert running.stop() == -signal.SIGKILL


def test_one_that_ends_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    lines = "import sys\nfor number in range(60): print('line', number)\nsys.exit(3)"
    failing = Program(tmp_path, lines)
    with pytest.raises(OperatorFailed) as failed:
        failing.start()
    assert str(failed.value).splitlines()[-40:] == [f"line {number}" for number in range(20, 60)]
    assert failing.exit_code() == 3


def test_what_it_is_started_with(tmp_path: Path) -> None:
    process = OperatorProcess(tmp_path / "kubeconfig", tmp_path, ("--shard=1",))
    command = process._command
    assert command[1:4] == ["-m", "postroom", "run"]
    assert command[4:] == [
        f"--kubeconfig={tmp_path / 'kubeconfig'}",
        f"--health-address=127.0.0.1:{process.port}",
        "--shard=1",
    ]
