# SPDX-License-Identifier: Apache-2.0
"""What verbs share: how they fail, and what their exit codes say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import postroom
from postroom.cli.options import ExitCode, fail, say, worst

#: Modules that print but what is ours, or what a shell reads.
_OUR_OWN = {"options.py", "crds.py", "explain.py", "kubectl_completion.py", "schemas.py"}


def test_what_went_wrong_is_one_sentence_by_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    ended = fail("check", "there is no such file.")
    assert ended.exit_code == ExitCode.BAD_INPUT
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "postroom check: there is no such file.\n")
    assert fail("auth", "nobody answers.", ExitCode.COULD_NOT_LOOK).exit_code == 3


def test_what_a_sentence_quotes_is_no_command_to_a_runner(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fail("check", "##[group]a\n::error::b")
    assert capsys.readouterr().err == "postroom check: \\u0023#[group]a\\n::error::b\n"


def test_of_several_exit_codes_the_worst_counts() -> None:
    order = [ExitCode.READY, ExitCode.COULD_NOT_LOOK, ExitCode.NOT_READY, ExitCode.BAD_INPUT]
    for index, code in enumerate(order):
        assert [worst(code, *order[:index]), worst(*order[: index + 1])] == [code, code]


def test_exit_codes_are_those_that_the_documentation_promises() -> None:
    """docs/check.md; scripts compare with the numbers."""
    codes = (
        ExitCode.READY,
        ExitCode.NOT_READY,
        ExitCode.BAD_INPUT,
        ExitCode.COULD_NOT_LOOK,
    )
    assert codes == (0, 1, 2, 3)


def test_what_is_said_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2J\x9bb\u202ec\n::error::d\te")
    say("f", errors=True)
    printed = capsys.readouterr()
    assert printed.out == "a\\u001b[2J\\u009bb\\u202ec\n\\u003a:error::d\\te\n"
    assert printed.err == "f\n"


def test_no_other_module_prints_lines_of_its_own() -> None:
    """What others chose is in most of them; documents of a format, which has its own ways to write
    it, end no line."""
    printing = {
        file.name
        for file in (Path(postroom.__file__).parent / "cli").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("typer.echo", "print")
        and "nl" not in {keyword.arg for keyword in node.keywords}
    }
    assert printing <= _OUR_OWN
