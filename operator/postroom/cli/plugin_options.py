# SPDX-License-Identifier: Apache-2.0
"""What the verbs of ``kubectl postroom`` share: options, names of kinds, and how they end."""

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from postroom.api.conditions import ConditionStatus, ConditionType
from postroom.api.crd import PRESENTATIONS
from postroom.api.names import GROUP, Kind
from postroom.cli import completion, options, table, terminal
from postroom.cli.cluster import PluginError
from postroom.cli.options import ExitCode, Output, say

NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace.", autocompletion=completion.namespaces),
]
AllNamespacesOption = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the result.")]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option(help="Kubeconfig; default: KUBECONFIG.", exists=True, dir_okay=False),
]
ContextOption = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]


TimeoutOption = Annotated[
    float, options.waiting("How long to wait for the answer, such as 5m; a bare number: seconds.")
]


def edge(work: Coroutine[Any, Any, None], program: str = "kubectl-postroom") -> None:
    """Do the work; what cannot be done becomes one sentence, and exit code 2, or 3 where nobody
    answered in time."""
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


def show(found: Sequence[Mapping[str, Any]], output: Output, *, full: bool = False) -> None:
    """Print objects; `full` also tells details of what is well."""
    if output is Output.TABLE:
        table.show(terminal.output(), found, full=full)
    else:
        print_objects(found, output)


def print_objects(objects: Sequence[Mapping[str, Any]], output: Output) -> None:
    """Print objects without their spec, as one YAML or JSON list."""
    shown = [
        {key: value for key, value in resource.items() if key != "spec"} for resource in objects
    ]
    if output is Output.JSON:
        say(json.dumps(shown, indent=2))
    else:
        typer.echo(yaml.safe_dump(shown, sort_keys=False, width=1000), nl=False)
