# SPDX-License-Identifier: Apache-2.0
"""``postroom run`` on the command line: flags, the environment, and bad values."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner, Result

from postroom.cli.run import run
from postroom.settings import KEY_FILE, Settings


def invoke(*arguments: str, **environment: str) -> Result:
    app = typer.Typer()
    app.command("run")(run)
    return CliRunner().invoke(app, list(arguments), env=environment)


def test_every_setting_has_its_flag() -> None:
    fields = {*Settings.model_fields, KEY_FILE} - {"ownership_key", "earlier_ownership_keys"}
    assert set(inspect.signature(run).parameters) == fields


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--allow-cidr=10.0.0.0/8", "--allow-cidr=x"], "--allow-cidr: must be networks"),
        (["--namespace=team-*"], "--namespace: must be names of namespaces"),
        (["--sweep-interval=soon"], "--sweep-interval: must be a duration"),
        (["--workers=0"], "--workers: must be at least 1"),
    ],
)
def test_a_bad_flag_is_one_sentence(arguments: list[str], sentence: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"postroom run: {sentence}")
    assert result.stderr.count("\n") == 1


def test_a_bad_variable_is_one_sentence() -> None:
    result = invoke(POSTROOM_WORKERS="many")
    assert result.exit_code == 2
    assert result.stderr.startswith("postroom run: POSTROOM_WORKERS: ")


def test_the_ownership_key_is_no_flag_that_a_process_list_would_show() -> None:
    assert invoke("--ownership-key=secret").exit_code == 2


def test_help_does_not_load_what_only_the_operator_needs() -> None:
    code = "import sys, postroom.cli.run; print(sorted({'kopf', 'kubernetes'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
