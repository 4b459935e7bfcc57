# SPDX-License-Identifier: Apache-2.0
"""What both programs share of the command line itself: help, examples, guesses, version, errors."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

import postroom

#: Of a program; its verbs have the same.
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
_SHORT = 12
_CALLED = {"kubectl-postroom": "kubectl postroom"}
_MODULE = Path(postroom.__file__).with_name("__main__.py")

#: program and verb -> what people type, to be copied.
EXAMPLES: Mapping[str, Sequence[str]] = {
    "postroom check": (
        "postroom check mail/",
        "postroom check example.com --provider Fastmail",
        "kubectl kustomize overlays/prod | postroom check -",
        "postroom check mail/ --without-credentials -o github",
        "postroom check mail/ --wait 5m -o json",
    ),
    "postroom run": (
        "postroom run --namespace mail",
        "postroom run --ownership-key-file /etc/postroom/ownership-key",
    ),
    "postroom deliver": (
        "postroom deliver --namespace mail",
        "postroom deliver --spool 256Mi --spool-dir /var/spool/postroom",
        "postroom deliver --shard 0/3",
    ),
    "postroom records": (
        "postroom records example.com --provider Fastmail",
        "postroom records example.com --provider Fastmail --missing",
        "postroom records mail/ -o terraform",
    ),
    "postroom report": (
        "postroom report mail/ --html report.html",
        "postroom report -A --html report.html",
        "kubectl get sendingdomains -A -o json | postroom report - --html report.html",
    ),
    "postroom crds": ("postroom crds | kubectl apply --server-side -f -",),
    "postroom schemas": ("postroom schemas schemas/",),
    "postroom explain": (
        "postroom explain SPF_MULTIPLE",
        "postroom explain 5.7.139",
        'postroom explain "535 5.7.8 Username and Password not accepted"',
    ),
    "postroom auth": (
        "postroom auth login --provider Microsoft --client-id ID --address desk@example.com",
    ),
    "postroom support-bundle": (
        "postroom support-bundle",
        "postroom support-bundle -n mail --file mail.tar.gz",
    ),
    "postroom lab": ("postroom lab",),
    "postroom demo": ("postroom demo",),
    "kubectl-postroom sync": ("kubectl postroom sync support -n mail",),
    "kubectl-postroom test": ("kubectl postroom test support -n mail",),
    "kubectl-postroom backfill": ("kubectl postroom backfill support -n mail",),
    "kubectl-postroom status": (
        "kubectl postroom status -A",
        "kubectl postroom status emailaccount/support -n mail",
    ),
    "kubectl-postroom report": (
        "kubectl postroom report -A --html report.html",
        "kubectl postroom report sendingdomain/example-com -n mail --json",
    ),
    "kubectl-postroom support-bundle": ("kubectl postroom support-bundle",),
    "kubectl-postroom verify": ("kubectl postroom verify sendingdomain/example-com -n mail",),
    "kubectl-postroom records": (
        "kubectl postroom records example-com --missing",
        "kubectl postroom records -o bind",
    ),
}


def examples(program: str, verb: str) -> str:
    """The end of a verb's help; its lines stay as they are."""
    lines = "\n".join(f"  {line}" for line in EXAMPLES[f"{program} {verb}"])
    return f"\b\nExamples:\n{lines}"


def said(program: str) -> str:
    """How people call a program, as usage and errors say it: a plugin by kubectl, which may also
    be found where its file is not; and a module as a module."""
    if program == "postroom" and Path(sys.argv[0]) == _MODULE:
        return "python -m postroom"
    return _CALLED.get(program, program)


class _Context(typer.Context):
    """Says how the program is called; its name stays that of the file, for completion."""

    @property
    def command_path(self) -> str:
        path = super().command_path
        return path if self.parent is not None else said(path)


class VerbGroup(TyperGroup):
    """Verbs that help tells in whole sentences, with a guess at one that is mistyped."""

    context_class = _Context

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        return named(command) if command is not None else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not ctx.resilient_parsing:
            ctx.fail(no_such_verb(args[0], known))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.sentence(ctx, name)) for name in self.list_commands(ctx)]
            )

    def sentence(self, ctx: Any, name: str) -> str:
        """What a verb does: the first paragraph of its help."""
        command: Any = self.get_command(ctx, name)
        return " ".join(str(command.help or "").partition("\n\n")[0].split())


#: What help calls a value; Python's names of types are for those who program.
_VALUES: Mapping[type, str] = {str: "TEXT", int: "NUMBER", float: "NUMBER", Path: "PATH"}


def named(command: Any) -> Any:
    """A command whose help names values as people do: TEXT, not list[str]."""
    callback = command.callback
    hints = typing.get_type_hints(inspect.unwrap(callback)) if callback is not None else {}
    for each in command.params:
        if each.param_type_name == "argument":
            each.metavar = each.metavar or each.name.upper()
            each.display_type = lambda ctx: ""
        elif each.metavar is None and not each.is_flag:
            each.metavar = _VALUES.get(_value_type(hints.get(each.name)))
    return command


def _value_type(hint: Any) -> Any:
    """The type of one value: str of list[str] | None."""
    while parts := [part for part in typing.get_args(hint) if part is not type(None)]:
        hint = parts[0]
    return hint


def no_such_verb(word: str, known: Sequence[str]) -> str:
    """The sentence about a mistyped verb."""
    # Its table is read by pydantic, which --help would wait for longer than for all else.
    from postroom.api.suggest import hint

    return f"there is no verb {word[:40]}{hint(word, known) or ': use one of ' + ', '.join(known)}"


def called() -> str:
    """How `postroom` is called from here: by its path where the shell does not find its name, as in
    a virtual environment that is not activated."""
    beside = Path(sys.executable).with_name("postroom")
    if shutil.which("postroom") or not beside.exists():
        return "postroom"
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)


def version(program: str) -> str:
    """The version, and the commit where that is known."""
    built = commit()
    return f"{program} {postroom.__version__}" + (f" (commit {built})" if built else "")


def commit() -> str:
    """The commit this was made from: said by who built it, noted by pip, or of the checkout.

    "" where nobody knows.
    """
    told = os.environ.get("POSTROOM_COMMIT", "") or _commit_of_pip() or _commit_of_checkout()
    return told[:_SHORT] if told.isalnum() else ""


def _commit_of_pip() -> str:
    """PEP 610: where a package that was installed from a repository came from."""
    import importlib.metadata  # as much as the rest of this module

    try:
        noted = importlib.metadata.distribution("postroom").read_text("direct_url.json")
        return str(json.loads(noted or "{}").get("vcs_info", {}).get("commit_id", ""))
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return ""


def _commit_of_checkout() -> str:
    top = Path(postroom.__file__).resolve().parents[2]
    if not (top / ".git").exists() or not (top / "operator" / "postroom").is_dir():
        return ""
    try:
        asked = subprocess.run(  # noqa: S603 - no input of others
            ["git", "-C", str(top), "rev-parse", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


#: What the libraries say of values, and what we say of them everywhere else.
_WORDS: Mapping[str, str] = {
    "Value error, ": "",
    "Input should be a valid (?:integer|number)(?:, unable to parse string as an? [a-z]+)?": (
        "must be a number"
    ),
    "Input should be greater than or equal to ": "must be at least ",
    "Input should be less than or equal to ": "must be at most ",
    "Choose from: ": "Use one of ",
}


def sentence_of(error: Any) -> str:
    """What was typed wrong, in the form of all other errors: who says it, and one sentence."""
    context = error.ctx
    path = context.command_path if context is not None else "postroom"
    message = " ".join(str(error.format_message()).split())
    for theirs, ours in _WORDS.items():
        message = re.sub(theirs, ours, message)
    end = "" if message.endswith((".", "?", ")")) else "."
    return f"{path}: {message[:1].lower()}{message[1:]}{end}\nTry '{path} -h' for help."
