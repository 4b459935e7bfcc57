# SPDX-License-Identifier: Apache-2.0
"""`postroom deliver` as processes that are killed, told to end, and begun anew."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from postroom.lab.operator_process import ROOT, free_port

_PATIENCE = 90.0


class Worker:
    """One process after the other; all write one log. `peak` is the most memory that one had, in
    KiB, as far as it could be asked before its end, `at_first` when the first was ready, and
    `at_times` what the one at work had whenever it was asked."""

    def __init__(self, directory: Path, number: int, flags: Sequence[str]) -> None:
        self.log = directory / f"deliver-{number}.log"
        self._port = free_port()
        self._command = [
            *(sys.executable, "-m", "postroom", "deliver"),
            f"--health-address=127.0.0.1:{self._port}",
            *flags,
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.peak = self.at_first = 0
        self.at_times: list[int] = []

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
            )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while self.asked("/readyz") is None:
            assert self._process is not None and self._process.poll() is None, self.tail()
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.1)
        self.note_memory()
        self.at_first = self.peak

    def asked(self, path: str) -> str | None:
        """What it answers at a path, None unless 200."""
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{self._port}{path}"
            with urllib.request.urlopen(url, timeout=60) as answer:
                return str(answer.read().decode())
        return None

    def note_memory(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{self._process.pid}/status").read_text()
                for name, value in re.findall(r"^(VmHWM|VmRSS):\s+(\d+)", status, re.MULTILINE):
                    if name == "VmRSS":
                        self.at_times.append(int(value))
                    else:
                        self.peak = max(self.peak, int(value))

    def end(self, how: signal.Signals) -> int:
        """End it, and return its exit code."""
        assert self._process is not None
        self.note_memory()
        self._process.send_signal(how)
        return self._process.wait(_PATIENCE)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


def faulted(workers: Sequence[Worker], dice: random.Random) -> str:
    """End one of the processes and begin it anew; returns how."""
    worker = dice.choice(workers)
    how = dice.choice([signal.SIGKILL, signal.SIGTERM])
    code = worker.end(how)
    # One that has hardly begun knows no signals yet.
    assert code in (0, -signal.SIGKILL, -signal.SIGTERM), f"exit code {code}: {worker.tail()}"
    worker.start()
    return how.name
