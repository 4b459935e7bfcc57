# SPDX-License-Identifier: Apache-2.0
"""The process that has imported modules, and forks when it is asked to.

For each process there is a second one, which waits for it and tells what it ended with: so nothing
has to be told apart here, and nobody waits for another.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import inspect
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
import traceback
from functools import _lru_cache_wrapper
from pathlib import Path


def main() -> None:
    """Fork for whoever holds the other end of the line, until it is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    # The directory of this file, which is none of theirs.
    del sys.path[0]
    for module in sys.argv[2:]:
        if not module.endswith(".*"):
            importlib.import_module(module)
    _read_ahead(tuple(name.removesuffix("*") for name in sys.argv[2:] if name.endswith(".*")))
    # What has been imported stays in the pages that all share.
    gc.collect()
    gc.freeze()
    assert threading.active_count() == 1, threading.enumerate()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 4)
        if not descriptors:
            return
        if os.fork() == 0:
            control.close()
            _attend(*descriptors)
        for each in descriptors:
            os.close(each)


def _read_ahead(packages: tuple[str, ...]) -> None:
    """Have what each process would remember from its first use on, and what depends on nothing: the
    data files of a package, say."""
    for name, module in [*sys.modules.items()]:
        for value in [*vars(module).values()] if name.startswith(packages) else []:
            is_remembered = isinstance(value, _lru_cache_wrapper) and value.__module__ == name
            if is_remembered and not inspect.signature(value).parameters:
                value()


def _attend(line: int, *streams: int) -> None:
    """Fork a process, and tell its number and its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Shells have what they start in the background ignore it, and all that this starts in turn.
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(line, "rb", closefd=False) as asking:
        asked = asking.readline()
    child = os.fork()
    if child == 0:
        os.close(line)
        signal.signal(signal.SIGINT, interrupted)
        arguments, environment, directory = json.loads(asked)
        _become(arguments, environment, directory, streams)
    # Whoever reads what those who asked print shall not wait for us.
    for each in (*streams, 0, 1, 2):
        os.close(each)
    try:
        os.write(line, b"%d\n" % child)
        os.write(line, b"%d\n" % os.waitpid(child, 0)[1])
    except BrokenPipeError:
        # Whoever asked has gone, as a process may that has started another.
        pass
    os._exit(0)


def _become(
    arguments: list[str], environment: dict[str, str], directory: str, streams: tuple[int, ...]
) -> None:
    """Run a command as a new interpreter would, and end."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    time.tzset()
    if environment.get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    code = 1
    try:
        _run(*arguments)
        code = 0
    except SystemExit as ended:
        if isinstance(ended.code, int) or ended.code is None:
            code = ended.code or 0
        else:
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    # In the order in which an interpreter ends.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF)


def _run(kind: str, what: str, *arguments: str) -> None:
    sys.argv = [kind, *arguments]
    if kind == "-m":
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, "")
        space = {"__name__": "__main__", "__builtins__": __builtins__}
        exec(compile(what, "<string>", "exec"), space)  # noqa: S102 - what the test would run


if __name__ == "__main__":
    main()
