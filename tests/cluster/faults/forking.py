# SPDX-License-Identifier: Apache-2.0
"""Operators that are there at once: forked from a process that has imported everything.

Of what it takes to start one nearly all is importing. A forked one has nothing of the one before:
its memory is that of a process in which none has ever run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Self

from postroom.lab.operator_process import ROOT, OperatorFailed, OperatorProcess

#: Reads commands, one a line, and answers each with the number of a process.
_PARENT = """
import gc, json, os, random, signal, sys
import postroom.cli.main, postroom.cli.run, postroom.controller.run
gc.freeze()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
for line in sys.stdin:
    command, log = json.loads(line)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        random.seed()
        out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(out, 1), os.dup2(out, 2), os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = ["postroom", *command]
        try:
            code = postroom.cli.main.main()
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code if isinstance(code, int) else bool(code))
    print(pid, flush=True)
"""


class ForkedOperator(OperatorProcess):
    """Like the operator that it is made from, and started by forking."""

    def __init__(self, like: OperatorProcess) -> None:
        self.__dict__.update(vars(like))
        self._pid = 0
        self._parent = subprocess.Popen(
            [sys.executable, "-c", _PARENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
        )
        self._said()

    def _said(self) -> str:
        assert self._parent.stdout is not None
        line = self._parent.stdout.readline()
        if not line:
            raise OperatorFailed("nothing can be forked any more")
        return line

    def start(self, *, ready_within: float = 180) -> Self:
        """See `OperatorProcess.start`."""
        arguments = self._command[self._command.index("postroom") + 1 :]
        assert self._parent.stdin is not None
        print(json.dumps([arguments, str(self.log)]), file=self._parent.stdin, flush=True)
        self._pid = int(self._said())
        deadline = time.monotonic() + ready_within
        while not self.answers("/readyz"):
            if self.exit_code() is not None or time.monotonic() > deadline:
                raise OperatorFailed(f"the operator did not get ready:\n{self.tail()}")
            time.sleep(0.01)
        return self

    @property
    def pid(self) -> int:
        return self._pid

    def exit_code(self) -> int | None:
        """None while it runs; nobody knows with what another one has ended."""
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return 1
        return None

    def kill(self) -> None:
        """See `OperatorProcess.kill`."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        while self.exit_code() is None:
            time.sleep(0.001)

    def stop(self) -> int:
        """Kill it, and the one that forks."""
        self.kill()
        with self._parent:
            self._parent.kill()
        return 0
