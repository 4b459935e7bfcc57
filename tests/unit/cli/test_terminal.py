# SPDX-License-Identifier: Apache-2.0
"""Colours and widths, of a real terminal and of a pipe, as the environment asks for them."""

import ast
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from house.texture import sources
from postroom.cli import terminal

RED = "\x1b[31m"
_PROGRAM = """
from postroom.cli import terminal
console = terminal.output()
console.print("word", style="red")
print(console.width)
with terminal.errors().status("moving"):
    pass
"""


def run(environ: dict[str, str], *, columns: int | None = None) -> tuple[str, int, str]:
    """What a program prints, how wide it takes the output for, and what moved on standard error;
    on a terminal of so many columns, or into pipes."""
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    command, whole = [sys.executable, "-c", _PROGRAM], {"TERM": "xterm", **inherited, **environ}
    if columns is None:
        done = subprocess.run(command, env=whole, capture_output=True, text=True, check=True)
        word, width = done.stdout.splitlines()
        return word, int(width), done.stderr
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        subprocess.run(command, env=whole, stdin=theirs, stdout=theirs, stderr=theirs, check=True)
        word, width, moved = os.read(ours, 65536).decode().split("\r\n", 2)
    finally:
        os.close(ours)
        os.close(theirs)
    return word, int(width), moved


@pytest.mark.parametrize(
    ("environ", "columns", "coloured", "width", "moves"),
    [
        ({}, 97, True, 97, True),
        ({}, 0, True, terminal.OF_TERMINAL, True),
        ({"COLUMNS": "61"}, 97, True, 61, True),
        ({"COLUMNS": "0"}, 97, True, 97, True),
        ({"NO_COLOR": "1"}, 97, False, 97, True),
        ({"TERM": "dumb"}, 97, False, 97, False),
        ({"TERM": "dumb", "COLUMNS": "61"}, 97, False, 61, False),
        ({}, None, False, terminal.OF_PIPE, False),
        ({"COLUMNS": "61"}, None, False, 61, False),
        ({"COLUMNS": "wide"}, None, False, terminal.OF_PIPE, False),
        ({"FORCE_COLOR": "1"}, None, True, terminal.OF_PIPE, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, None, False, terminal.OF_PIPE, False),
    ],
)
def test_colours_width_and_movement(
    environ: dict[str, str], columns: int | None, coloured: bool, width: int, moves: bool
) -> None:
    word, found, moved = run(environ, columns=columns)
    assert (word.startswith(RED), found, bool(moved.strip())) == (coloured, width, moves)
    assert coloured or word == "word"  # no other escape sequence either


@pytest.mark.parametrize(
    ("environ", "on_terminal", "into_pipe"),
    [
        ({}, "auto", None),
        ({"NO_COLOR": ""}, "auto", None),
        ({"NO_COLOR": "0"}, None, None),
        ({"FORCE_COLOR": "3"}, "standard", "standard"),
        ({"FORCE_COLOR": ""}, "auto", None),
        ({"FORCE_COLOR": "0"}, None, None),
        ({"CLICOLOR_FORCE": "1"}, "standard", "standard"),
        ({"CLICOLOR_FORCE": "0"}, "auto", None),
        ({"CLICOLOR_FORCE": "1", "CLICOLOR": "0"}, "standard", "standard"),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, None, None),
        ({"CLICOLOR": "0"}, None, None),
        ({"CLICOLOR": "1"}, "auto", None),
        ({"TERM": "dumb"}, None, None),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, "standard", "standard"),
    ],
)
def test_which_variable_counts(
    environ: dict[str, str],
    on_terminal: str | None,
    into_pipe: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert terminal.colours(is_terminal=True) == on_terminal
    assert terminal.colours(is_terminal=False) == into_pipe


def test_no_other_module_makes_a_console() -> None:
    makers = {
        source.path.name
        for source in sources()
        if "Console" in source.text
        for node in source.nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Console")
    }
    assert makers == {"terminal.py"}
