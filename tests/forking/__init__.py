# SPDX-License-Identifier: Apache-2.0
"""Processes of Python that are forked from one that has imported what they need.

Of what it takes to start one of ours nearly all is importing. A forked one runs its command as a
new one would: it has its own arguments, environment, directory, descriptors and signals, and its
memory is that of a process in which nothing has run, but that what the modules of packages named as
``package.*`` remember of nothing, such as their data files, is there. Who asks for memory, or for
how a process starts, starts a real one.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

_SERVER = Path(__file__).with_name("server.py")


def is_forkable(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a process can be had by forking: not where the interpreter is told something else
    than the one that forks."""
    return (
        command[0] == sys.executable
        and command[1] in ("-c", "-m")
        and _of_interpreters(environment) == _of_interpreters(os.environ)
    )


def _of_interpreters(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are read when a process begins."""
    begun = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "FAKETIME", "OPENSSL_", "SSL_")
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(begun) and name != "PYTHONPATH"
    }


class Forked:
    """A process that was forked, as `subprocess.Popen` shows one."""

    def __init__(
        self,
        command: Sequence[str],
        imported: tuple[str, ...],
        *,
        environment: Mapping[str, str],
        streams: tuple[int, int, int],
        directory: str = "",
    ) -> None:
        self.args = [*command]
        self.returncode: int | None = None
        self._line, theirs = socket.socketpair()
        self._reading = threading.Lock()
        with theirs:
            control = _server(environment.get("PYTHONPATH", ""), imported)
            socket.send_fds(control, [b"f"], [theirs.fileno(), *streams])
        asked = [self.args[1:], {**environment}, directory or str(Path.cwd())]
        self._line.sendall(json.dumps(asked).encode() + b"\n")
        self.pid = int(self._told())

    def __del__(self) -> None:
        # Of one whose end nobody asked for: the warning would be another test's.
        self._line.close()

    def _told(self) -> str:
        """The next number that comes: that of the process, then what it ended with."""
        said = b""
        while not said.endswith(b"\n"):
            more = self._line.recv(1)
            if not more:
                raise ChildProcessError("the process that forks has ended")
            said += more
        return said.decode()

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        with self._reading:
            if self.returncode is None and _has_said(self._line, 0):
                self.returncode = os.waitstatus_to_exitcode(int(self._told()))
                self._line.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = until - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            # Another thread may read it, and close the line.
            with suppress(ValueError):
                _has_said(self._line, min(left, 0.2))
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _has_said(line: socket.socket, within: float) -> bool:
    waiting = select.poll()
    waiting.register(line, select.POLLIN)
    return bool(waiting.poll(within * 1000))


def run(
    command: Sequence[str],
    imported: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    input: str = "",
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` returns of a command whose output is captured as text."""
    with tempfile.TemporaryFile("w+") as given, _taken() as out, _taken() as told:
        given.write(input)
        given.seek(0)
        streams = (given.fileno(), out.fileno(), told.fileno())
        code = Forked(command, imported, environment=environment, streams=streams).wait()
        out.seek(0)
        told.seek(0)
        return subprocess.CompletedProcess(command, code, out.read(), told.read())


def _taken() -> IO[str]:
    return tempfile.TemporaryFile("w+")


@cache
def _server(path: str, imported: tuple[str, ...]) -> socket.socket:
    """The line to a process that has imported modules, and forks for as long as we are there."""
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        process = subprocess.Popen(
            [sys.executable, str(_SERVER), str(number), *imported],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=[number],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
