# SPDX-License-Identifier: Apache-2.0
"""``kubectl_complete-postroom``: kubectl's way of asking what may stand on its command line."""

import io
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial

import typer

from postroom.cli import plugin

#: Of cobra, which completes for kubectl: offer nothing else, or else the names of files.
_ONLY_THESE, _FILES = ":4", ":0"
_TAKE_FILES = ("--file", "-f", "--html", "--kubeconfig")


def main() -> None:
    """``kubectl_complete-postroom``, which kubectl runs to complete ``kubectl postroom``.

    Its arguments are the words so far, the last of which is begun; it prints what may stand
    there, and what kubectl is to do with that.
    """
    words = sys.argv[1:] or [""]
    offered = offers(words)
    takes_file = len(words) > 1 and words[-2] in _TAKE_FILES
    for word in offered:
        typer.echo(word)
    typer.echo(_FILES if takes_file and not offered else _ONLY_THESE)


def offers(words: Sequence[str]) -> list[str]:
    """What may stand in the place of the last of these words of the plugin."""
    begun = dict(os.environ)
    os.environ |= {
        "_KUBECTL_POSTROOM_COMPLETE": "complete_bash",
        "COMP_WORDS": shlex.join(["kubectl-postroom", *words]),
        "COMP_CWORD": str(len(words)),
    }
    told = io.StringIO()
    run = partial(plugin.app, args=[], prog_name="kubectl-postroom", standalone_mode=False)
    try:
        with (
            redirect_stdout(told),
            redirect_stderr(io.StringIO()),
            suppress(SystemExit, Exception),
        ):
            run()
    finally:
        os.environ.clear()
        os.environ |= begun
    return [line for line in told.getvalue().splitlines() if line.strip()]
