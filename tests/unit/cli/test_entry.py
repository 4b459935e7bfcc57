# SPDX-License-Identifier: Apache-2.0
"""Who interrupts a program while it still loads sees no traceback, and gets the code 130; and what
the programs begin with loads nothing before that holds. Each is a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
#: SIGINT arrives when a module is about to be imported. What a shell starts beside itself ignores
#: it, and so would what these tests start then.
INTERRUPTED = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)

class Interrupted:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)


sys.meta_path.insert(0, Interrupted)
sys.argv[1:] = ["records", "--help"]
from {place} import {function}

{function}()
"""


def begun_by(program: str) -> tuple[str, str]:
    """The module and the function that an installed program calls."""
    place, _, function = SCRIPTS[program].partition(":")
    return place, function


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, text=True, timeout=300
    )


@pytest.mark.parametrize("module", ["postroom.cli.main", "typer", "postroom.cli.options"])
@pytest.mark.parametrize("program", SCRIPTS)
def test_an_interrupt_while_a_program_loads_ends_it_quietly(program: str, module: str) -> None:
    place, function = begun_by(program)
    done = run(INTERRUPTED.format(module=module, place=place, function=function))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("program", ["postroom", "kubectl-postroom"])
def test_a_program_that_nobody_interrupts_runs(program: str) -> None:
    place, function = begun_by(program)
    done = run(INTERRUPTED.format(module="no.such.module", place=place, function=function))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{program.replace('-', ' ')} records" in done.stdout.replace("-", " ")


@pytest.mark.parametrize(("asked", "loaded"), [(None, "[]"), ("nobody", "['plugin']")])
def test_no_plugin_of_pydantic_is_loaded_unless_somebody_wants_it(
    asked: str | None, loaded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugin.py").write_text("def new_schema_validator(*_): return None, None, None\n")
    metadata = tmp_path / "plugin-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pydantic]\nplugin = plugin\n")
    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS", raising=False)
    if asked is not None:
        monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", asked)
    done = run(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
        "sys.argv[1:] = ['records', '--help']\n"
        "from postroom.cli.entry import postroom\n"
        "try:\n    postroom()\n"
        "finally:\n    print([name for name in ('plugin',) if name in sys.modules])\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == loaded


def test_what_programs_begin_with_loads_nothing_else() -> None:
    (place,) = {begun_by(program)[0] for program in SCRIPTS}
    done = run(
        f"import sys; before = set(sys.modules); import {place}; "
        "print(*sorted(set(sys.modules) - before))"
    )
    its_own = {"postroom", "postroom.cli", place}
    library = {"importlib", "importlib._bootstrap", "importlib._bootstrap_external", "warnings"}
    library |= {"gc"}  # a part of the interpreter itself
    assert place in done.stdout
    assert set(done.stdout.split()) <= its_own | library


@pytest.mark.parametrize("file", ["keys.log", "missing/keys.log"])
@pytest.mark.parametrize("program", ["postroom", "kubectl-postroom"])
def test_keys_of_connections_are_written_nowhere(
    program: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / file))
    place, function = begun_by(program)
    verb = "check" if program == "postroom" else "verify"
    done = run(
        f"import sys, ssl\nsys.argv[1:] = [{verb!r}, '--help']\n"
        f"from {place} import {function}\n"
        f"try:\n    {function}()\n"
        "finally:\n    import aiohttp\n"
        "    assert ssl.create_default_context().keylog_filename is None"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(tmp_path.iterdir())
