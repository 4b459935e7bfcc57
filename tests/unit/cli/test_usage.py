# SPDX-License-Identifier: Apache-2.0
"""The command line as people know it: -h, examples to type, guesses, one form of errors."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

import postroom
from postroom.cli import main, plugin, usage

PROGRAMS = {"postroom": main, "kubectl-postroom": plugin}
TYPED = [(verb, line) for verb, lines in usage.EXAMPLES.items() for line in lines]


def call(
    capsys: pytest.CaptureFixture[str], program: str, *arguments: str
) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        PROGRAMS[program].main(arguments)
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def verbs(program: str) -> list[str]:
    group: Any = typer.main.get_command(PROGRAMS[program].app)
    return list(group.list_commands(None))


@pytest.mark.parametrize(
    ("program", "verb"), [(program, verb) for program in PROGRAMS for verb in verbs(program)]
)
def test_every_verb_has_help_with_examples(
    capsys: pytest.CaptureFixture[str], program: str, verb: str
) -> None:
    code, out, _ = call(capsys, program, verb, "-h")
    assert code == 0
    assert out == call(capsys, program, verb, "--help")[1]
    assert re.findall(r"<(?:str|int|float|path|file|dir|list)\b", out) == []
    for line in usage.EXAMPLES[f"{program} {verb}"]:
        assert f"\n    {line}\n" in f"{out}\n"


@pytest.mark.parametrize(("verb", "line"), TYPED)
def test_an_example_can_be_typed(verb: str, line: str) -> None:
    """Parsed as the shell and the program would; nothing is run."""
    program, name = verb.split()
    word = program.replace("-", " ")
    part = next(piece.strip() for piece in line.split("|") if piece.strip().startswith(word))
    group: Any = typer.main.get_command(PROGRAMS[program].app)
    command = group.get_command(group.make_context(program, [name]), name)
    rest = shlex.split(part)[len(word.split()) + 1 :]
    if hasattr(command, "list_commands"):
        command, rest = command.get_command(None, rest[0]), rest[1:]
    assert command.make_context(verb, rest) is not None


@pytest.mark.parametrize(
    ("program", "arguments", "said"),
    [
        ("postroom", ("chek", "x"), "postroom: there is no verb chek: did you mean check?"),
        ("postroom", ("expalin",), "postroom: there is no verb expalin: did you mean explain?"),
        ("postroom", ("zzzz",), "postroom: there is no verb zzzz: use one of check, run, "),
        (
            "kubectl-postroom",
            ("stauts",),
            "kubectl postroom: there is no verb stauts: did you mean status?",
        ),
        ("postroom", ("check", "x", "--outptu"), "postroom check: no such option: --outptu"),
        ("postroom", ("check", "x", "-o", "xml"), "postroom check: invalid value for '--output'"),
        ("postroom", ("check",), "postroom check: "),
        ("postroom", ("auth", "logn"), "postroom auth: there is no verb logn: did you mean login?"),
    ],
)
def test_what_is_typed_wrong_ends_in_one_form(
    capsys: pytest.CaptureFixture[str], program: str, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = call(capsys, program, *arguments)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith(said)
    assert second.startswith("Try '")
    assert "Value error" not in err


@pytest.mark.parametrize(
    ("program", "argv", "name"),
    [
        ("postroom", "/usr/bin/postroom", "postroom"),
        ("postroom", str(Path(postroom.__file__).with_name("__main__.py")), "python -m postroom"),
        ("postroom", "/elsewhere/__main__.py", "postroom"),
        ("kubectl-postroom", "/usr/bin/kubectl-postroom", "kubectl postroom"),
    ],
)
def test_each_says_the_name_by_which_it_is_called(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    program: str,
    argv: str,
    name: str,
) -> None:
    monkeypatch.setattr(sys, "argv", [argv])
    for arguments in (("-h",), ("records", "-h")):
        called = " ".join((name, *arguments[:-1]))
        assert call(capsys, program, *arguments)[1].startswith(f"Usage: {called} [OPTIONS]")
    _, _, err = call(capsys, program, "records", "--bogus")
    assert err.startswith(f"{name} records: no such option")
    assert f"Try '{name} records -h'" in err
    # Who started the tests may be no shell.
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: "bash")
    completion = call(capsys, program, "--show-completion")[1]
    # The shell knows it by its file.
    assert completion.rstrip().endswith(f" {program}")


def test_a_verb_that_fails_says_the_name_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(Path(postroom.__file__).with_name("__main__.py"))])
    assert call(capsys, "postroom", "explain", "Bogus")[2].startswith(
        "python -m postroom explain: "
    )


def test_help_tells_each_verb_in_a_whole_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for program, arguments in (("kubectl-postroom", ()), ("postroom", ()), ("postroom", ("auth",))):
        _, out, err = call(capsys, program, *arguments, "-h")
        told = " ".join((out + err).split("Commands:")[1].split())
        assert "..." not in told
        assert told.count(". ") >= 3 or program == "postroom"


def test_a_program_without_a_verb_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for program in PROGRAMS:
        code, out, err = call(capsys, program)
        assert code == 2
        assert "Usage:" in out + err


@pytest.mark.parametrize(
    ("told", "shown"),
    [("0123456789abcdef0123", " (commit 0123456789ab)"), ("$(oops)", "")],
)
def test_the_version_names_the_commit_that_was_built(
    monkeypatch: pytest.MonkeyPatch, told: str, shown: str
) -> None:
    monkeypatch.setenv("POSTROOM_COMMIT", told)
    assert usage.version("postroom").endswith(usage.postroom.__version__ + shown)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_shells_can_complete(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: str, shell: str
) -> None:
    # It is for the shell that it is called in, which for tests is any or none.
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: shell)
    code, out, _ = call(capsys, program, "--show-completion")
    assert code == 0
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    assert f"{variable}=complete_{shell}" in out and program in out


def test_a_verb_is_completed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_POSTROOM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "postroom exp")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert call(capsys, "postroom")[1].split() == ["explain"]


def test_it_is_called_by_its_name_only_where_the_shell_finds_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / ".venv" / "bin"
    binary.mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(binary / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert usage.called() == "postroom"  # nowhere: the name is all that there is to say
    program = binary / "postroom"
    program.touch(mode=0o755)
    assert usage.called() == str(program)
    monkeypatch.chdir(tmp_path)
    assert usage.called() == ".venv/bin/postroom"
    monkeypatch.setenv("PATH", str(binary))
    assert usage.called() == "postroom"


def test_help_names_values_and_defaults_as_people_do(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "postroom", "deliver", "-h")
    said = " ".join(out.split())
    assert "--dns-resolver TEXT " in said and "--spool-dir PATH " in said
    for default in ("(128Mi)", "(256)", "(15m)", "(0.0.0.0:8080)", "(info)", "(300)"):
        assert f"[default: {default}]" in said
    _, out, _ = call(capsys, "kubectl-postroom", "status", "-h")
    assert "[OPTIONS] [NAMES]...\n" in out
