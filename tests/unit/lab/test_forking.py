# SPDX-License-Identifier: Apache-2.0
"""Processes that tests fork in the place of starting them: they run as others would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import forking
from forking import typed

IMPORTED = ("json",)
#: Tells what a program knows of itself and of what is around it.
TELLS = """
import asyncio, gc, json, os, random, signal, sys, threading
async def here():
    return asyncio.get_running_loop().time() > 0
names = ("INT", "TERM", "CHLD", "PIPE")
handlers = [str(signal.getsignal(getattr(signal, f"SIG{each}"))) for each in names]
print(json.dumps([__name__, sys.argv[1:], os.environ["GIVEN"], "GONE" in os.environ, os.getcwd(),
    sys.stdin.read(), asyncio.run(here()), threading.active_count(), handlers,
    sorted(os.listdir("/proc/self/fd"))]))
print("aside", file=sys.stderr)
"""


def test_it_knows_what_one_that_was_started_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", TELLS, "--flag", "with space"]
    monkeypatch.setenv("GONE", "here")
    forking.run([sys.executable, "-c", ""], IMPORTED, environment=os.environ)
    monkeypatch.delenv("GONE")
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "GIVEN": "…"}
    forked = forking.run(command, IMPORTED, environment=environment, input="asked")
    started = subprocess.run(
        command, env=environment, input="asked", capture_output=True, text=True, check=False
    )
    assert vars(forked) == vars(started)
    assert (forked.returncode, forked.stderr) == (0, "aside\n")


REMEMBERS = """
from functools import cache
from os import getpid
@cache
def data(): return getpid()
@cache
def of(what=""): return getpid()
def forgets(): return getpid()
"""


def test_what_is_remembered_of_nothing_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "remembering").mkdir()
    for name in ("remembering/data", "remembering_not"):
        (tmp_path / f"{name}.py").write_text(REMEMBERS)
    names = ("remembering.data", "remembering_not")
    asks = f"import {','.join(names)}\nfor each in {','.join(names)}:\n"
    asks += "    print(each.data(), each.of(), each.forgets())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    imported = (*names, "remembering.*")
    command = [sys.executable, "-c", asks]
    first, second = (
        [line.split() for line in ran.stdout.splitlines()]
        for ran in (
            forking.run(command, imported, environment=environment),
            forking.run(command, imported, environment=environment),
        )
    )
    same = [
        [a == b for a, b in zip(*lines, strict=True)] for lines in zip(first, second, strict=True)
    ]
    assert same == [[True, False, False], [False, False, False]]


LAST = "import atexit, sys, threading; atexit.register(lambda: sys.stderr.write('last'))"


@pytest.mark.parametrize(
    ("program", "code", "says"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit('said so')", 1, "said so\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
        (f"{LAST}; sys.exit(2)", 2, "last"),
        (
            f"{LAST}; threading.Timer(0.05, lambda: sys.stderr.write('late ')).start()",
            0,
            "late last",
        ),
    ],
)
def test_it_ends_as_one_that_was_started(program: str, code: int, says: str) -> None:
    command = [sys.executable, "-c", program]
    for ran in (
        forking.run(command, IMPORTED, environment=os.environ),
        subprocess.run(command, capture_output=True, text=True, check=False),
    ):
        assert (ran.returncode, ran.stdout, ran.stderr) == (code, "", says)


def test_what_is_raised_is_told() -> None:
    ran = forking.run([sys.executable, "-c", "1 / 0"], IMPORTED, environment=os.environ)
    assert ran.returncode == 1
    assert ran.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_module_is_run_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "somebodys.py").write_text("import sys; print(__name__, sys.argv)")
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "somebodys", "x"]
    ran = forking.run(command, IMPORTED, environment=os.environ)
    assert ran.stdout == f"__main__ {[str(tmp_path / 'somebodys.py'), 'x']}\n"


WAITS = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("up", flush=True)
signal.pause()
"""


def test_several_are_signalled_and_waited_for(tmp_path: Path) -> None:
    running = []
    for number in range(3):
        with (tmp_path / f"{number}").open("wb") as log:
            streams = (log.fileno(),) * 3
            command = [sys.executable, "-c", WAITS]
            running.append(
                forking.Forked(command, IMPORTED, environment=os.environ, streams=streams)
            )
    first, second, third = running
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(timeout=0.01)
    while not all((tmp_path / f"{number}").read_bytes() for number in range(3)):
        assert [each.poll() for each in running] == [None] * 3
    second.kill()
    assert second.wait(timeout=60) == -signal.SIGKILL
    assert (first.poll(), third.poll()) == (None, None)
    first.terminate()
    third.terminate()
    assert (first.wait(timeout=60), third.wait()) == (7, 7)
    first.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(first.pid, 0)


@pytest.mark.parametrize(
    ("command", "more", "whether"),
    [
        (("-m", "postroom", "run"), {}, True),
        (("-c", "pass"), {"PYTHONPATH": "elsewhere", "TZ": "UTC"}, True),
        (("-X", "dev", "-c", "pass"), {}, False),
        (("-m", "postroom"), {"PYTHONUNBUFFERED": "0"}, False),
        (("-m", "postroom"), {"LD_PRELOAD": "libfaketime.so"}, False),
        (("-m", "postroom"), {"MALLOC_ARENA_MAX": "1"}, False),
    ],
)
def test_what_an_interpreter_must_be_told_is_none_to_fork(
    command: tuple[str, ...], more: dict[str, str], whether: bool
) -> None:
    assert forking.is_forkable([sys.executable, *command], {**os.environ, **more}) is whether
    assert not forking.is_forkable(["/bin/true", *command], {**os.environ, **more})


#: A program that tells what it was given, and ends as its first argument says.
TOLD = """
import os, sys
def main():
    print(sys.argv, os.environ["GIVEN"], os.getcwd(), sys.stdin.read(), flush=True)
    print("aside", file=sys.stderr)
    if sys.argv[1] == "killed":
        os.kill(os.getpid(), 9)
    return int(sys.argv[1])
if __name__ == "__main__":
    sys.exit(main())
"""


def _forked(
    command: list[str],
    environment: dict[str, str],
    directory: str,
    streams: tuple[int, int, int],
) -> int:
    return forking.Forked(
        command, IMPORTED, environment=environment, streams=streams, directory=directory
    ).wait()


def test_shells_run_what_is_forked_as_what_is_started(tmp_path: Path) -> None:
    (tmp_path / "somebodys.py").write_text(TOLD)
    with typed.commands({"own": "somebodys:main"}, "somebodys", _forked) as place:
        environment = {**os.environ, "PATH": f"{place}:{os.environ['PATH']}", "GIVEN": "…"}
        for name, code in (("4", 4), ("killed", 137)):
            for program in ("own", "python3 -m somebodys"):
                ran = subprocess.run(
                    ["bash", "-c", f"echo asked | {program} {name} 'with space'"],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                path = place / "own" if program == "own" else tmp_path / "somebodys.py"
                told = f"{[str(path), name, 'with space']} … {tmp_path} asked\n\n"
                assert (ran.returncode, ran.stdout, ran.stderr) == (code, told, "aside\n")
        # Whatever else an interpreter is to do it does.
        ran = subprocess.run(
            ["python3", "-c", "import sys; print(sys.executable)"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout == f"{sys.executable}\n"
    assert not place.exists()
