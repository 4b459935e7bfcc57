# SPDX-License-Identifier: Apache-2.0
"""``postroom deliver`` on the command line: flags, the environment, and bad values."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner, Result

from postroom.cli.deliver import deliver
from postroom.deliver_settings import OWN, SHARED


def invoke(*arguments: str, **environment: str) -> Result:
    app = typer.Typer()
    app.command("deliver")(deliver)
    return CliRunner().invoke(app, list(arguments), env=environment)


def test_every_setting_has_its_flag() -> None:
    assert set(inspect.signature(deliver).parameters) == {*SHARED, *OWN}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--spool=much"], "--spool: must be a size"),
        (["--shard=2/2"], "--shard: must be a shard"),
        (["--namespace=team-*"], "--namespace: must be names of namespaces"),
    ],
)
def test_a_bad_flag_is_one_sentence(arguments: list[str], sentence: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"postroom deliver: {sentence}")
    assert result.stderr.count("\n") == 1


def test_a_bad_variable_is_one_sentence() -> None:
    result = invoke(POSTROOM_SPOOL="much")
    assert result.exit_code == 2
    assert result.stderr.startswith("postroom deliver: POSTROOM_SPOOL: ")


def test_help_does_not_load_what_only_the_worker_needs() -> None:
    code = "import sys, postroom.cli.deliver; print({'kopf', 'kubernetes'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
