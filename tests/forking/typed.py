# SPDX-License-Identifier: Apache-2.0
"""Commands that shells run, and that are forked: what is first on their PATH hands its arguments,
environment, directory and streams over, and ends as the forked one did."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

#: What stands on the PATH; without the modules of the site it takes a hundredth of a second.
_PROGRAM = """\
#!{python} -IS
import json, os, socket, sys
if {module!r} and sys.argv[1:3] != ["-m", {module!r}]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
line = socket.socket(socket.AF_UNIX)
line.connect({address!r})
socket.send_fds(line, [b"f"], [0, 1, 2])
asked = [{command!r} + sys.argv[1:], dict(os.environ), os.getcwd()]
line.sendall(json.dumps(asked).encode() + b"\\n")
code = int(line.makefile().readline())
sys.exit(code if code >= 0 else 128 - code)
"""
#: What a script that pip makes does.
_SCRIPT = "import sys; from {module} import {name}; sys.argv[0] = {path!r}; sys.exit({name}())"

#: Runs a command with an environment, in a directory, on three streams; returns how it ended.
Run = Callable[[list[str], dict[str, str], str, tuple[int, int, int]], int]


@contextmanager
def commands(scripts: Mapping[str, str], module: str, run: Run) -> Iterator[Path]:
    """A folder for the PATH, for as long as the block takes.

    It has `scripts`, by the function that each runs (``module:function``), and a python3 that is
    forked where it is to run the module with ``-m``.
    """
    with (
        tempfile.TemporaryDirectory(prefix="typed-") as folder,
        socket.socket(socket.AF_UNIX) as listening,
    ):
        place = Path(folder)
        for name, entry in scripts.items():
            where, _, function = entry.partition(":")
            script = _SCRIPT.format(module=where, name=function, path=str(place / name))
            _put(place, name, [sys.executable, "-c", script], "")
        _put(place, "python3", [sys.executable], module)
        listening.bind(str(place / "line"))
        listening.listen()
        thread = threading.Thread(target=_listen, args=(listening, run))
        thread.start()
        try:
            yield place
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(60)


def _put(place: Path, name: str, command: list[str], module: str) -> None:
    text = _PROGRAM.format(
        python=sys.executable, address=str(place / "line"), command=command, module=module
    )
    (place / name).write_text(text)
    (place / name).chmod(0o755)


def _listen(listening: socket.socket, run: Run) -> None:
    while True:
        try:
            line, _ = listening.accept()
        except OSError:  # it was shut down
            return
        threading.Thread(target=_attend, args=(line, run), daemon=True).start()


def _attend(line: socket.socket, run: Run) -> None:
    with line, line.makefile() as asking:
        _, (given, out, told), _, _ = socket.recv_fds(line, 1, 3)
        command, environment, directory = json.loads(asking.readline())
        try:
            code = run(command, environment, directory, (given, out, told))
        finally:
            for each in (given, out, told):
                os.close(each)
        line.sendall(b"%d\n" % code)
