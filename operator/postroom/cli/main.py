# SPDX-License-Identifier: Apache-2.0
"""``postroom``: the verbs, each in a module of its own, loaded when it is called."""

import errno
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import typer
import typer.main

from postroom.cli import usage
from postroom.cli.options import say

#: What writing ends with where nobody is to blame but the disk, or whoever closed the file.
_UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)

#: verb -> what it does. Every module has a function of the verb's name, or a program with verbs;
#: a dash is an underscore there.
VERBS = {
    "check": "Evaluate resources from files, without a cluster.",
    "run": "Run the operator.",
    "deliver": "Hand incoming mail to the applications that consume it.",
    "records": "Print the DNS records to publish, as a table or for DNS tools.",
    "report": "Write a page for people without kubectl: what is broken, whose turn it is.",
    "crds": "Print the CustomResourceDefinitions.",
    "schemas": "Write JSON schemas for editors, kubeconform and readers of reports.",
    "explain": "Explain a reason, finding, condition, or the reply of a mail server.",
    "auth": "Sign in to a mailbox with OAuth, and get the Secret for it.",
    "support-bundle": "Collect what is needed to find out why something does not work.",
    "lab": "Run the local mail lab.",
    "demo": "See the story: verify, break, read the fix, mend.",
}


#: Verbs that load more as they run; `loading.for_good` has the collector work from then on.
_STAYS = frozenset({"run", "deliver"})


class _Verbs(usage.VerbGroup):
    """Loads only the verb that is called: `check` need not pay for kopf, nor for the lab."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        try:
            module = import_module(f"postroom.cli.{cmd_name.replace('-', '_')}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("postroom"):
                raise
            raise typer.BadParameter(
                f"{error.name} is not installed: pip install 'postroom[lab]'"
            ) from None
        if cmd_name not in _STAYS:
            gc.enable()
        verb = getattr(module, cmd_name.replace("-", "_"))
        if isinstance(verb, typer.Typer):
            return usage.named(typer.main.get_command(verb))
        app.command(name=cmd_name, epilog=usage.examples("postroom", cmd_name))(verb)
        return usage.named(typer.main.get_command(app))

    def sentence(self, ctx: Any, name: str) -> str:
        return VERBS[name]


app = typer.Typer(
    cls=_Verbs,
    name="postroom",
    help="Email infrastructure as Kubernetes resources, with the truth in status.",
    no_args_is_help=True,
    rich_markup_mode=None,
    invoke_without_command=True,
    context_settings=usage.CONTEXT,
    epilog="postroom VERB -h shows examples.",
)


def _version(asked: bool) -> None:
    if asked:
        say(usage.version("postroom"))
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_version, is_eager=True
    ),
) -> None:
    """Email infrastructure as Kubernetes resources, with the truth in status."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what users did wrong ends in a sentence, never in a traceback."""
    run(app, arguments)


def run(program: Any, arguments: Sequence[str] | None) -> None:
    """Run a typer program at the edge of the process."""
    _replace_closed_streams()
    try:
        code = program(
            args=list(arguments) if arguments is not None else None,
            prog_name=program.info.name,
            standalone_mode=False,
        )
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader, such as head, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in _UNWRITTEN or error.filename is not None:
            _of_ourselves(error)
        say(f"postroom: the output cannot be written: {error.strerror}.", errors=True)
        sys.exit(os.EX_IOERR)
    except Exception as error:
        if hasattr(error, "format_message"):
            # Something was typed wrong; without arguments that is no error, but a wish for help.
            code = getattr(error, "exit_code", 2)
            if "Help" in type(error).__name__:
                error.show()  # type: ignore[attr-defined]
            else:
                say(usage.sentence_of(error), errors=True)
            sys.exit(code)
        _of_ourselves(error)
    sys.exit(code if isinstance(code, int) else 0)


def _replace_closed_streams() -> None:
    """Have what whoever called us closed, as ``>&-`` does, lead nowhere, and nothing else take its
    number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            opened = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 - until we end
            setattr(sys, name, opened)


def _of_ourselves(error: Exception) -> NoReturn:
    if os.environ.get("POSTROOM_DEBUG"):
        raise error
    say(
        f"postroom: an error of postroom itself ({type(error).__name__}): set POSTROOM_DEBUG=1 "
        "to see where, and report it.",
        errors=True,
    )
    sys.exit(os.EX_SOFTWARE)
