# SPDX-License-Identifier: Apache-2.0
"""Every command line that a page shows is one: both programs take it, make knows its target, and
what it names of the repository is there.

Guides are run, not only read: `tests/cluster/test_guides.py`.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main

from postroom.cli import main, plugin
from unit.docs.reading import PAGES, ROOT, commands, name_of, parts, spans

PROGRAMS = {
    "postroom": typer.main.get_command(main.app),
    "kubectl postroom": typer.main.get_command(plugin.app),
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
#: Options that do something while they are read, such as writing into the shell's start file.
EAGER = {"--version", "--help", "-h", "--install-completion", "--show-completion"}
#: Of the repository.
PATHS = re.compile(r"(?:\./)?(?:manifests|crds|charts|docs|tests|operator)(?:/\S*)?")


class Refused(Exception):
    """A program does not take a command line."""


def take(command: Any, words: Sequence[str], path: str, parent: Any = None) -> None:
    """Parse a command line as the program does, without running anything."""
    if hasattr(command, "list_commands") and words and not words[0].startswith("-"):
        context = command.context_class(command, parent=parent, info_name=path)
        if words[0] not in command.list_commands(context):
            raise Refused(f"{path} has no verb {words[0]}")
        take(command.get_command(context, words[0]), words[1:], f"{path} {words[0]}", context)
        return
    names = {name for option in command.params for name in option.opts} | {"--help", "-h"}
    if EAGER.intersection(words):
        if unknown := [word for word in words if word not in names]:
            raise Refused(f"{path} has no {unknown[0]}")
        return
    try:
        command.make_context(path, list(words), parent=parent)
    except Exception as error:
        if "NoArgsIsHelp" in type(error).__name__:
            return
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        raise Refused(f"{path} {' '.join(words)}: {message}") from None


def program_of(words: Sequence[str]) -> tuple[str, Sequence[str]] | None:
    """Return which of our programs a command calls, and with what."""
    for name in PROGRAMS:
        called = name.split()
        if list(words[: len(called)]) == called:
            return name, words[len(called) :]
    return None


def wrong_commands(text: str) -> list[str]:
    """Return what is wrong with the commands that a page shows after a prompt."""
    wrong = []
    for command in commands(text):
        found = program_of(command.words)
        if found is not None:
            name, words = found
            try:
                take(PROGRAMS[name], words, name)
            except Refused as error:
                wrong.append(f"{command.line}: {error}")
        if command.words[0] == "make":
            targets = [word for word in command.words[1:] if "=" not in word]
            wrong += [
                f"{command.line}: make has no target {target}"
                for target in targets
                if target not in TARGETS
            ]
        wrong += [
            f"{command.line}: {word} is not there"
            for word in command.words
            if PATHS.fullmatch(word) and "..." not in word and not (ROOT / word).exists()
        ]
    return wrong


def wrong_spans(text: str) -> list[str]:
    """Return what is wrong with the command lines within sentences."""
    wrong = []
    for line, span in spans(text):
        if re.match(r"make [a-z]", span) and span.split()[1] not in TARGETS:
            wrong.append(f"{line}: make has no target {span.split()[1]}")
        if not re.match(r"(?:kubectl )?postroom(?: |$)", span):
            continue
        name, words = program_of(next(parts(span))) or ("", ())
        if "VERB" in words:
            continue
        try:
            take(PROGRAMS[name], [word.strip("[]") for word in words], name)
        except Refused as error:
            # A sentence names a verb, or an option of it, without all that it needs.
            if "Missing" not in str(error):
                wrong.append(f"{line}: {error}")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_a_page_can_be_typed(page: Path) -> None:
    text = page.read_text("utf-8")
    assert wrong_commands(text) + wrong_spans(text) == []


def test_commands_are_found() -> None:
    found = [command for page in PAGES for command in commands(page.read_text("utf-8"))]
    assert sum(program_of(command.words) is not None for command in found) > 60


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a b | c 'd e' > f", [("a", "b"), ("c", "d e")]),
        ("A=1 b && c; d", [("b",), ("c",), ("d",)]),
        ('a "$(date +%s)" 2>&1 b', [("a", "SUBSTITUTED", "2", "b")]),
        ("a   # why", [("a",)]),
        ("a <b c", [("a", "c")]),
    ],
)
def test_a_line_of_a_shell_is_read_as_its_commands(line: str, words: list[Any]) -> None:
    assert list(parts(line)) == words


def console(line: str) -> str:
    return f"```console\n$ {line}\n```\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (console("postroom check a.yaml --wait 5m"), ""),
        (console("postroom check a.yaml --wit 5m"), "--wit"),
        (console("cat a | postroom chek -"), "no verb chek"),
        (console("postroom check"), "TARGETS"),
        (console("postroom check a -o tables"), "tables"),
        (console("kubectl postroom verify emailaccount/a \\\n    --timeout x"), "timeout"),
        (console("make docs-sites"), "docs-sites"),
        (console("kubectl apply -k manifests/install/clusters"), "manifests/install/clusters"),
        (console("kubectl postroom --version"), ""),
        ("`postroom explain CODE`, `postroom check`, `kubectl postroom VERB`", ""),
        ("`postroom explian CODE`", "explian"),
        ("`postroom check --missing`", "--missing"),
        ("`make dcos`", "dcos"),
        ("`make docs`", ""),
    ],
)
def test_what_cannot_be_typed_is_found(text: str, part: str) -> None:
    wrong = wrong_commands(text) + wrong_spans(text)
    assert len(wrong) == bool(part)
    assert all(part.lower() in line.lower() for line in wrong)
