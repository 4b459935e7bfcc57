# SPDX-License-Identifier: Apache-2.0
"""Every verb of both programs, from the same declarations that their own help is made of.

The help itself is not quoted: how it breaks lines differs from one version of typer to the next.
"""

import inspect
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

import typer.main

from made.page import codes, page, prose, table
from postroom.cli import main, plugin

_PROGRAMS = {
    "postroom": (main.app, "It needs no cluster, but for `run` and `auth login --apply`."),
    "kubectl postroom": (
        plugin.app,
        "The plugin is `kubectl-postroom` in your `PATH`; it has the rights of whoever calls it, "
        "and no others.",
    ),
}
#: What each verb has, and what says nothing of what it does.
_OF_EACH = ("help", "install_completion", "show_completion")


def pages() -> dict[str, str]:
    """Return a page for each program."""
    made = {}
    for program, (app, lead) in _PROGRAMS.items():
        lines: list[str] = []
        for path, command in commands(typer.main.get_command(app), program):
            lines += _command(path, command)
        lines += ["Each verb takes `-h` or `--help`, too."]
        made[f"reference/{program.replace(' ', '-')}.md"] = page(f"`{program}`", lead, lines)
    return made


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield a program and its verbs, and theirs."""
    yield path, command
    if hasattr(command, "list_commands"):
        context = command.context_class(command, info_name=path)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), f"{path} {name}")


def _command(path: str, command: Any) -> list[str]:
    """Write the section of one verb."""
    shown = [option for option in command.params if option.name not in _OF_EACH]
    arguments = [option for option in shown if option.param_type_name == "argument"]
    options = [option for option in shown if option.param_type_name == "option"]
    verbs = hasattr(command, "list_commands")
    usage = [path, *(_argument(argument) for argument in arguments), *(["VERB"] if verbs else [])]
    lines = [f"## {path}", "", f"`{' '.join(usage)}`", "", prose(command.help or "").strip(), ""]
    if arguments:
        meant = [(f"`{_argument(argument)}`", prose(argument.help or "")) for argument in arguments]
        lines += table(("Argument", "Meaning"), meant)
    if options:
        hints = _hints(command)
        rows = [
            (
                codes([*option.opts, *option.secondary_opts]),
                _default(option),
                _meaning(option, hints),
            )
            for option in options
        ]
        lines += table(("Option", "Default", "Meaning"), rows)
    if examples := (command.epilog or "").partition("Examples:\n")[2]:
        shell = [f"$ {line.strip()}" for line in examples.splitlines() if line.strip()]
        lines += ["```console", *shell, "```", ""]
    return lines


def _argument(argument: Any) -> str:
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _names(option: Any) -> str:
    return codes([*option.opts, *option.secondary_opts])


def _hints(command: Any) -> dict[str, Any]:
    """Return the types of a verb's parameters by name."""
    if command.callback is None:
        return {}
    return typing.get_type_hints(inspect.unwrap(command.callback))


def _meaning(option: Any, hints: dict[str, Any]) -> str:
    """Return what an option is for, its choices with it."""
    text = prose(option.help or "")
    hint = hints.get(option.name)
    kinds = [kind for kind in (hint, *typing.get_args(hint)) if isinstance(kind, type)]
    choices = [choice for kind in kinds if issubclass(kind, Enum) for choice in kind]
    text += f" One of {codes(choice.value for choice in choices)}." if choices else ""
    return text + (" Repeatable." if option.multiple else "")


def _default(option: Any) -> str:
    if option.required:
        return "must be given"
    if isinstance(option.show_default, str):
        return f"`{option.show_default}`"
    if option.default in (None, (), [], False):
        return "-"
    default = option.default
    return f"`{default.value if isinstance(default, Enum) else default}`"
