# SPDX-License-Identifier: Apache-2.0
"""What verbs share: how they fail, and what their exit codes say."""

from __future__ import annotations

import pytest

from postroom.cli.options import ExitCode, fail, worst


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
