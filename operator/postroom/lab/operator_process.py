# SPDX-License-Identifier: Apache-2.0
"""The operator as a subprocess with a token of its own ServiceAccount and the project's own RBAC,
for the cluster tests and ``postroom demo --cluster``."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

import yaml

NAMESPACE = "postroom-system"
ACCOUNT = "postroom"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
#: The checkout; the manifests are only there.
ROOT = Path(__file__).resolve().parents[3]


#: Ports below those of Linux (ip_local_port_range, from 32768) and of macOS (from 49152); processes
#: that were started one after the other begin apart.
_PORTS = range(20000, 30000)
_END_SECONDS = 30
_numbers = itertools.count(97 * os.getpid())
#: Those that are this process's own to its end.
_own: list["OwnPort"] = []


class OperatorFailed(Exception):
    """The operator did not do what it was asked for; the text ends with its log."""


class Process(Protocol):
    """The part of `subprocess.Popen` that is needed here."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def kill(self) -> None: ...


def end(process: Process, *, kill: bool = False) -> None:
    """End a process: at once with `kill`, else by itself as long as that takes no half minute."""
    process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
    try:
        process.wait(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=_END_SECONDS)


class Plane(Protocol):
    """The part of the control plane that is needed here."""

    kubeconfig: Path

    def kubectl(
        self, *args: str, input: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]: ...


def service_account_kubeconfig(
    plane: Plane, directory: Path, account: str = ACCOUNT, namespace: str = NAMESPACE
) -> Path:
    """Write a kubeconfig that authenticates as a ServiceAccount, and nothing more."""
    token = plane.kubectl("create", "token", account, "-n", namespace, "--duration=2h").stdout
    return token_kubeconfig(plane, directory, token.strip())


def token_kubeconfig(plane: Plane, directory: Path, token: str) -> Path:
    """Write a kubeconfig that authenticates by a token, and nothing more."""
    config = yaml.safe_load(plane.kubeconfig.read_text())
    config["users"] = [{"name": "operator", "user": {"token": token}}]
    config["contexts"] = [
        {
            "name": "operator",
            "context": {"cluster": config["clusters"][0]["name"], "user": "operator"},
        }
    ]
    config["current-context"] = "operator"
    path = directory / "operator.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path


class OwnPort:
    """A TCP port on loopback that is free now, and is given to nobody else for as long as this is
    there: not while who listens at it is away, nor by another process that asks for one.

    It is none of those that systems give to whoever asks for any, for a connection too: one of them
    could be somebody else's by the time at which it is listened at.
    """

    def __init__(self) -> None:
        for place in itertools.islice(_numbers, len(_PORTS)):
            self.number = _PORTS[place % len(_PORTS)]
            # The UDP port of the same number is the token that only one process has.
            self._token = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with socket.socket() as probe, contextlib.suppress(OSError):
                self._token.bind(("127.0.0.1", self.number))
                probe.bind(("127.0.0.1", self.number))
                return
            self._token.close()
        raise OperatorFailed("no port of 20000 to 29999 is free on 127.0.0.1.")

    def __del__(self) -> None:
        self._token.close()


def free_port() -> int:
    """A TCP port on loopback that is this process's own to its end, and another one each time."""
    _own.append(OwnPort())
    return _own[-1].number


class OperatorProcess:
    """One process of the operator, or of another verb that runs on a cluster; its log lands in a
    file that failures show the end of."""

    def __init__(
        self, kubeconfig: Path, directory: Path, flags: tuple[str, ...] = (), verb: str = "run"
    ) -> None:
        #: Variables of its environment beside our own.
        self.environment: dict[str, str] = {}
        self.kubeconfig = kubeconfig
        self._own_port = OwnPort()
        self.port = self._own_port.number
        self.log = directory / f"{verb}-{self.port}.log"
        self._command = [
            sys.executable,
            "-m",
            "postroom",
            verb,
            f"--kubeconfig={kubeconfig}",
            f"--health-address=127.0.0.1:{self.port}",
            *flags,
        ]
        self._process: Process | None = None

    def start(self, *, ready_within: float = 180) -> Self:
        """Start and wait until the caches are filled."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), **self.environment}
        with self.log.open("ab") as log:
            self._process = self._spawned(environment, log)
        began = time.monotonic()
        while not self.answers("/readyz"):
            waited = time.monotonic() - began
            if self._process.poll() is not None or waited > ready_within:
                raise OperatorFailed(f"the operator did not get ready:\n{self.tail()}")
            # Looks cost both of us: where it takes long, others are kept waiting by them.
            time.sleep(max(0.03, waited / 10))
        return self

    def _spawned(self, environment: dict[str, str], log: BinaryIO) -> Process:
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            self._command, stdout=log, stderr=subprocess.STDOUT, env=environment
        )

    @property
    def pid(self) -> int:
        if self._process is None:
            raise OperatorFailed("the operator was not started.")
        return self._process.pid

    def answers(self, path: str) -> bool:
        """Whether a health endpoint says 200."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=10
            ) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def metrics(self) -> str:
        """The text of /metrics."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=30) as response:
            text: str = response.read().decode()
            return text

    def stop(self) -> int:
        """The exit code of the process, which is told to end."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise OperatorFailed(f"the operator did not stop:\n{self.tail()}") from None

    def kill(self) -> None:
        """End the process as a node failure would."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(timeout=60)

    def exit_code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll() if self._process else None

    def tail(self, lines: int = 40) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: Any) -> None:
        self.stop()
