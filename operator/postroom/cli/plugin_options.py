# SPDX-License-Identifier: Apache-2.0
"""What the verbs of ``kubectl postroom`` share: options, names of kinds, and how they end."""

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from postroom.api.conditions import ConditionStatus, ConditionType
from postroom.api.crd import PRESENTATIONS
from postroom.api.names import GROUP, Kind
from postroom.cli import completion, options, table, terminal, usage
from postroom.cli.cluster import PluginError
from postroom.cli.options import ExitCode, Output, say
from postroom.cli.yaml_output import yaml_of

NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace.", autocompletion=completion.namespaces),
]
AllNamespacesOption = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")
]

_TABLES = (Output.TABLE, Output.WIDE)

OutputOption = Annotated[
    Output,
    typer.Option("--output", "-o", help="Form of the result; wide also tells how old it is."),
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option(help="Kubeconfig; default: KUBECONFIG.", exists=True, dir_okay=False),
]
ContextOption = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]


TimeoutOption = Annotated[
    float, options.waiting("How long to wait for the answer, such as 5m; a bare number: seconds.")
]


def edge(work: Coroutine[Any, Any, None], program: str = "") -> None:
    """Do the work; what cannot be done becomes one sentence, and exit code 2, or 3 where nobody
    answered in time."""
    program = program or usage.said("kubectl-postroom")
    try:
        asyncio.run(work)
    except PluginError as error:
        say(f"{program}: {error}", errors=True)
        raise typer.Exit(error.exit_code) from None


def kind_of(word: str) -> Kind:
    """Return the kind that kubectl knows by this word; raises `PluginError`."""
    for kind in Kind:
        names = {kind.value.lower(), kind.plural, PRESENTATIONS[kind].short_name}
        if word.lower().removesuffix(f".{GROUP}") in names:
            return kind
    known = ", ".join(f"{kind.value.lower()}/NAME" for kind in Kind)
    raise PluginError(f"{word} is no kind of postroom: use one of {known}.")


def selected(words: Sequence[str]) -> list[tuple[Kind, str | None]]:
    """Read ``KIND/NAME``, ``KIND``, ``KIND,KIND`` or ``KIND NAME NAME``, as kubectl does.

    Words that all name kinds are kinds, but of two the second is a name. One that names an object
    by no letter, such as by a variable that is not set, is refused: all of a kind would be meant.
    """
    if bare := [word for word in words if not word or word.endswith("/")]:
        said = bare[0] or '""'
        raise PluginError(f"{said} names no object: write KIND/NAME, or KIND for all.")
    if len(words) > 1 and not any("/" in word for word in words):
        first, *names = words
        if len(words) == 2 or not all(map(_is_kind, names)):
            kinds = [kind_of(word) for word in first.split(",")]
            return [(kind, name) for kind in kinds for name in names]
    targets: list[tuple[Kind, str | None]] = []
    for word in words:
        kind, slash, name = word.partition("/")
        listed = [kind] if slash else word.split(",")
        targets += [(kind_of(each), name or None) for each in listed]
    return targets


def _is_kind(word: str) -> bool:
    try:
        return bool(kind_of(word))
    except PluginError:
        return False


def targets(ctx: typer.Context, incomplete: str) -> list[str]:
    """``kind/name``: kinds first, and the names of one once it is typed."""
    word, slash, begun = incomplete.partition("/")
    if not slash:
        return completion.beginning([f"{kind.value.lower()}/" for kind in Kind], incomplete)
    try:
        kind = kind_of(word)
    except PluginError:
        return []
    return [f"{word}/{name}" for name in completion.beginning(completion.names(ctx, kind), begun)]


def exit_unless_ready(found: Sequence[Mapping[str, Any]]) -> None:
    """End with 1 unless every object says that it is Ready."""
    for resource in found:
        conditions = (resource.get("status") or {}).get("conditions", [])
        if not any(
            each["type"] == ConditionType.READY and each["status"] == ConditionStatus.TRUE
            for each in conditions
        ):
            raise typer.Exit(ExitCode.NOT_READY)


def is_table(output: Output) -> bool:
    """Whether a form is for people."""
    return output in _TABLES


def show(found: Sequence[Mapping[str, Any]], output: Output, *, full: bool = False) -> None:
    """Print objects; `full` also tells details of what is well."""
    if is_table(output):
        table.show(terminal.output(), found, full=full, wide=output is Output.WIDE)
    else:
        print_objects(found, output)


def print_objects(objects: Sequence[Mapping[str, Any]], output: Output) -> None:
    """Print objects by name, or without their spec as one List, as kubectl has it of several."""
    if output is Output.NAME:
        for resource in objects:
            say(f"{str(resource['kind']).lower()}.{GROUP}/{resource['metadata']['name']}")
        return
    shown = {"apiVersion": "v1", "kind": "List", "items": [_shown(each) for each in objects]}
    if output is Output.JSON:
        say(json.dumps(shown, indent=2))
    else:
        typer.echo(yaml_of(shown), nl=False)


def _shown(resource: Mapping[str, Any]) -> dict[str, Any]:
    """An object without its spec, and without who wrote which field, as kubectl shows it."""
    metadata = {key: value for key, value in resource["metadata"].items() if key != "managedFields"}
    kept = {key: value for key, value in resource.items() if key != "spec"}
    return kept | {"metadata": metadata}
