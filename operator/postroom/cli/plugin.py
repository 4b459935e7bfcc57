# SPDX-License-Identifier: Apache-2.0
"""``kubectl postroom``: status, verify and records for the resources of a cluster."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from postroom import __version__
from postroom.api.crd import PRESENTATIONS
from postroom.api.names import API_VERSION, GROUP, REQUESTED_AT_ANNOTATIONS, VERSION, Kind
from postroom.cli import table
from postroom.cli.check import Output, console, print_objects
from postroom.cli.main import run
from postroom.cli.record_output import Layout, RecordFormat
from postroom.cli.status_records import show_status_records
from postroom.dns.publishing.terraform import TerraformProvider
from postroom.dns.publishing.text import CannotPublish

app = typer.Typer(
    name="kubectl-postroom",
    help="What postroom knows of the email resources of a cluster.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

_POLL = 0.5
_Names = Annotated[
    list[str] | None, typer.Argument(help="KIND, KIND/NAME, or KIND NAME; nothing: all.")
]
_Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Namespace.")]
_Output = Annotated[Output, typer.Option("--output", "-o", help="Form of the result.")]
_Kubeconfig = Annotated[
    Path | None,
    typer.Option(help="Kubeconfig; default: KUBECONFIG.", exists=True, dir_okay=False),
]
_Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]


class PluginError(Exception):
    """What the user asked for cannot be done; the text is one sentence."""


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"kubectl-postroom {__version__}")
        raise typer.Exit


@app.command()
def status(
    names: _Names = None,
    namespace: _Namespace = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")
    ] = False,
    output: _Output = Output.TABLE,
    kubeconfig: _Kubeconfig = None,
    context: _Context = None,
) -> None:
    """Show verdicts, findings and fixes."""

    async def show() -> None:
        async with _Cluster.connect(kubeconfig, context) as cluster:
            place = None if all_namespaces else namespace or cluster.namespace
            found = await cluster.select(_targets(names or []), place)
        if output is Output.TABLE and not found:
            typer.echo(f"There is no resource of {GROUP}" + (f" in {place}." if place else "."))
        _show(found, output)

    _edge(show())


@app.command()
def verify(
    names: Annotated[list[str], typer.Argument(help="KIND/NAME, or KIND NAME.")],
    namespace: _Namespace = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the answer.")] = 60,
    output: _Output = Output.TABLE,
    kubeconfig: _Kubeconfig = None,
    context: _Context = None,
) -> None:
    """Ask for a check now, wait for it, and show what it found. Exits 1 if not all is Ready."""

    async def ask() -> None:
        async with _Cluster.connect(kubeconfig, context) as cluster:
            place = namespace or cluster.namespace
            wanted = await cluster.select(_targets(names), place)
            token = datetime.now(UTC).isoformat(timespec="milliseconds")
            for one in wanted:
                await cluster.request(one, token)
            found = await cluster.answered(wanted, token, timeout)
        _show(found, output)
        if not all(_ready(one) for one in found):
            raise typer.Exit(1)

    _edge(ask())


@app.command()
def records(
    names: Annotated[
        list[str] | None, typer.Argument(help="SendingDomains by NAME; nothing: all.")
    ] = None,
    namespace: _Namespace = None,
    output: Annotated[
        RecordFormat, typer.Option("--output", "-o", help="Form of the result.")
    ] = RecordFormat.TABLE,
    terraform_provider: Annotated[
        TerraformProvider, typer.Option(help="Whose resources -o terraform writes.")
    ] = TerraformProvider.CLOUDFLARE,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only what DNS lacks or has wrong; exits 1 if any.")
    ] = False,
    kubeconfig: _Kubeconfig = None,
    context: _Context = None,
) -> None:
    """Print the DNS records that sending domains need, as status lists them."""

    async def show() -> None:
        async with _Cluster.connect(kubeconfig, context) as cluster:
            found = await cluster.select(_domains(names or []), namespace or cluster.namespace)
        if not found:
            raise PluginError("there is no SendingDomain in this namespace.")
        layout = Layout(output, terraform_provider)
        try:
            if show_status_records(found, layout, missing=missing) and missing:
                raise typer.Exit(1)
        except CannotPublish as error:
            raise PluginError(str(error)) from None

    _edge(show())


def _domains(words: Sequence[str]) -> list[tuple[Kind, str | None]]:
    """Read ``NAME`` or ``sendingdomain/NAME``."""
    if not words:
        return [(Kind.SENDING_DOMAIN, None)]
    targets: list[tuple[Kind, str | None]] = []
    for word in words:
        kind, slash, name = word.rpartition("/")
        if slash and _kind(kind) is not Kind.SENDING_DOMAIN:
            raise PluginError(f"{word} has no DNS records: name SendingDomains.")
        targets.append((Kind.SENDING_DOMAIN, name))
    return targets


def _ready(one: Mapping[str, Any]) -> bool:
    conditions = (one.get("status") or {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _show(found: Sequence[Mapping[str, Any]], output: Output) -> None:
    if output is Output.TABLE:
        table.show(console(), found)
    else:
        print_objects(found, output)


def _edge(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except PluginError as error:
        typer.echo(f"kubectl-postroom: {error}", err=True)
        raise typer.Exit(2) from None


def _targets(words: Sequence[str]) -> list[tuple[Kind, str | None]]:
    """Read ``KIND/NAME``, ``KIND NAME`` or ``KIND``; every name of a kind that kubectl knows."""
    if len(words) == 2 and "/" not in "".join(words):
        return [(_kind(words[0]), words[1])]
    targets = []
    for word in words:
        kind, _, name = word.partition("/")
        targets.append((_kind(kind), name or None))
    return targets


def _kind(word: str) -> Kind:
    for kind in Kind:
        names = {kind.value.lower(), kind.plural, PRESENTATIONS[kind].short_name}
        if word.lower().removesuffix(f".{GROUP}") in names:
            return kind
    known = ", ".join(kind.plural for kind in Kind)
    raise PluginError(f"{word} is no kind of postroom: use one of {known}.")


class _Cluster:
    """The cluster of a kubeconfig, through the official client."""

    def __init__(self, api: Any, namespace: str, errors: type[Exception]) -> None:
        self._api = api
        self._errors = errors
        self.namespace = namespace

    @staticmethod
    @asynccontextmanager
    async def connect(kubeconfig: Path | None, context: str | None) -> AsyncIterator[_Cluster]:
        """Connect; raises `PluginError` where there is no usable kubeconfig."""
        from kubernetes.aio import client, config

        path = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG")
        try:
            _, active = config.list_kube_config_contexts(  # type: ignore[no-untyped-call]
                config_file=path
            )
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=path, context=context
            )
        except (config.ConfigException, OSError, TypeError, yaml.YAMLError) as error:
            # A TypeError is what the client makes of an empty file.
            cause = "" if isinstance(error, TypeError) else f": {' '.join(str(error).split())}"
            raise PluginError(f"there is no usable kubeconfig{cause}.") from None
        named = (active or {}).get("context", {}).get("namespace") or "default"
        async with client.ApiClient() as api:
            api.user_agent = f"kubectl-postroom/{__version__}"
            yield _Cluster(client.CustomObjectsApi(api), named, client.ApiException)

    async def select(
        self, targets: Sequence[tuple[Kind, str | None]], namespace: str | None
    ) -> list[dict[str, Any]]:
        """Return the objects meant: all where nothing is named."""
        found: list[dict[str, Any]] = []
        for kind, name in targets or [(kind, None) for kind in Kind]:
            if name is not None:
                found.append(await self._get(kind, namespace or self.namespace, name))
            elif namespace is None:
                listed = await self._call(
                    self._api.list_cluster_custom_object, GROUP, VERSION, kind.plural
                )
                found += _typed(kind, listed["items"])
            else:
                listed = await self._call(
                    self._api.list_namespaced_custom_object, GROUP, VERSION, namespace, kind.plural
                )
                found += _typed(kind, listed["items"])
        return found

    async def request(self, one: Mapping[str, Any], token: str) -> None:
        """Ask for a check now, by annotation."""
        kind, metadata = Kind(one["kind"]), one["metadata"]
        await self._call(
            self._api.patch_namespaced_custom_object,
            *(GROUP, VERSION, metadata["namespace"], kind.plural, metadata["name"]),
            {"metadata": {"annotations": {REQUESTED_AT_ANNOTATIONS[0]: token}}},
            _content_type="application/merge-patch+json",
        )

    async def answered(
        self, wanted: Sequence[Mapping[str, Any]], token: str, seconds: float
    ) -> list[dict[str, Any]]:
        """Wait until every object acknowledges the request; return them as they are then."""
        found = []
        try:
            async with asyncio.timeout(seconds):
                for one in wanted:
                    while True:
                        metadata = one["metadata"]
                        fresh = await self._get(
                            Kind(one["kind"]), metadata["namespace"], metadata["name"]
                        )
                        handled = fresh.get("status", {}).get("lastHandledReconcileAt", "")
                        if token in handled:
                            found.append(fresh)
                            break
                        await asyncio.sleep(_POLL)
        except TimeoutError:
            name = one["metadata"]["name"]
            raise PluginError(
                f"{one['kind']} {name} was not checked within {seconds:.0f} s: does the operator "
                "run and serve this namespace?"
            ) from None
        return found

    async def _get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        got = await self._call(
            self._api.get_namespaced_custom_object, GROUP, VERSION, namespace, kind.plural, name
        )
        return _typed(kind, [got])[0]

    async def _call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the API; turn its refusals into sentences."""
        try:
            return await function(*args, **kwargs)
        except self._errors as error:
            code = getattr(error, "status", None)
            raise PluginError(_refusal(code, args)) from None
        except OSError as error:
            raise PluginError(f"the cluster does not answer: {error}") from None


def _refusal(code: int | None, args: Sequence[Any]) -> str:
    match code:
        case 404 if len(args) >= 5:
            return f"{args[3]} {args[4]} does not exist in namespace {args[2]}."
        case 404:
            return "the cluster does not know postroom's kinds: kubectl apply -k crds"
        case 401 | 403:
            return "you may not do that: ask for rights on the resources of postroom.dev."
        case _:
            return f"the API server answers {code}."


def _typed(kind: Kind, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lists leave kind and version out."""
    return [{**one, "apiVersion": API_VERSION, "kind": kind.value} for one in items]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the plugin."""
    run(app, arguments)
