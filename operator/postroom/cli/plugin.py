# SPDX-License-Identifier: Apache-2.0
"""``kubectl postroom``: what there is to ask of the resources of a cluster."""

from collections.abc import Sequence
from typing import Annotated

import typer

from postroom.api.names import GROUP, Kind
from postroom.cli import (
    account_commands,
    completion,
    plugin_options,
    report_output,
    support_bundle,
    usage,
)
from postroom.cli.cluster import Cluster, PluginError
from postroom.cli.main import run
from postroom.cli.options import Output, say
from postroom.cli.record_output import Layout, RecordFormat
from postroom.cli.status_records import show_status_records
from postroom.dns.publishing.terraform import TerraformProvider
from postroom.dns.texts.presentation import CannotPublish
from postroom.report.shape import ReportSource

app = typer.Typer(
    cls=usage.VerbGroup,
    name="kubectl-postroom",
    help="What postroom knows of the email resources of a cluster.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=usage.CONTEXT,
    epilog="kubectl postroom VERB -h shows examples.",
)


def _examples(verb: str) -> str:
    return usage.examples("kubectl-postroom", verb)


for _verb in (account_commands.sync, account_commands.test, account_commands.backfill):
    app.command(epilog=_examples(_verb.__name__))(_verb)
app.command("support-bundle", epilog=_examples("support-bundle"))(support_bundle.support_bundle)
_Names = Annotated[
    list[str] | None,
    typer.Argument(
        help="KIND, KIND,KIND, KIND/NAME, or KIND NAME; nothing: all.",
        autocompletion=plugin_options.targets,
    ),
]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        say(usage.version("kubectl-postroom"))
        raise typer.Exit


@app.command(epilog=_examples("status"))
def status(
    names: _Names = None,
    namespace: plugin_options.NamespaceOption = None,
    all_namespaces: plugin_options.AllNamespacesOption = False,
    output: plugin_options.OutputOption = Output.TABLE,
    kubeconfig: plugin_options.KubeconfigOption = None,
    context: plugin_options.ContextOption = None,
) -> None:
    """Show verdicts, findings and fixes."""

    async def look() -> None:
        wanted = plugin_options.selected(names or [])
        async with Cluster.connect(kubeconfig, context) as cluster:
            place = None if all_namespaces else namespace or cluster.namespace
            found = await cluster.select(wanted, place)
        if plugin_options.is_table(output) and not found:
            elsewhere = f" in {place}: -n names another namespace, -A all." if place else "."
            say(f"There is no resource of {GROUP}{elsewhere}")
        plugin_options.show(found, output, full=any(name for _, name in wanted))

    plugin_options.edge(look())


@app.command(epilog=_examples("verify"))
def verify(
    names: Annotated[
        list[str],
        typer.Argument(help="KIND/NAME, or KIND NAME.", autocompletion=plugin_options.targets),
    ],
    namespace: plugin_options.NamespaceOption = None,
    timeout: plugin_options.TimeoutOption = 60,
    output: plugin_options.OutputOption = Output.TABLE,
    kubeconfig: plugin_options.KubeconfigOption = None,
    context: plugin_options.ContextOption = None,
) -> None:
    """Request a check now, wait for it, and show what it found.

    Exits 1 if not all is Ready, and 3 if nobody looked in time.
    """

    async def ask() -> None:
        async with Cluster.connect(kubeconfig, context) as cluster:
            place = namespace or cluster.namespace
            wanted = await cluster.select(plugin_options.selected(names), place)
            if not wanted:
                raise PluginError(f"there is nothing to check in namespace {place}.")
            found = await cluster.checked(wanted, timeout)
        plugin_options.show(found, output)
        plugin_options.exit_unless_ready(found)

    plugin_options.edge(ask())


@app.command(epilog=_examples("report"))
def report(
    names: _Names = None,
    html: report_output.HTMLOption = None,
    as_json: report_output.JSONOption = False,
    exit_code: report_output.ExitCodeOption = False,
    namespace: plugin_options.NamespaceOption = None,
    all_namespaces: plugin_options.AllNamespacesOption = False,
    kubeconfig: plugin_options.KubeconfigOption = None,
    context: plugin_options.ContextOption = None,
) -> None:
    """Write a page for people without kubectl: what is broken, whose turn it is, what to paste."""

    async def look() -> None:
        try:
            report_output.refuse_places(html, as_json=as_json)
            async with Cluster.connect(kubeconfig, context) as cluster:
                place = None if all_namespaces else namespace or cluster.namespace
                found = await cluster.select(plugin_options.selected(names or []), place)
            made = report_output.write(found, ReportSource.CLUSTER, html, as_json=as_json)
        except report_output.ReportNotWritten as error:
            raise PluginError(str(error)) from None
        if exit_code:
            raise typer.Exit(report_output.exit_code(made))

    plugin_options.edge(look())


@app.command(epilog=_examples("records"))
def records(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="SendingDomains by NAME; nothing: all.", autocompletion=completion.domains
        ),
    ] = None,
    namespace: plugin_options.NamespaceOption = None,
    output: Annotated[
        RecordFormat, typer.Option("--output", "-o", help="Form of the result.")
    ] = RecordFormat.TABLE,
    terraform_provider: Annotated[
        TerraformProvider, typer.Option(help="Whose resources -o terraform writes.")
    ] = TerraformProvider.CLOUDFLARE,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only what DNS lacks or has wrong; exits 1 if any.")
    ] = False,
    kubeconfig: plugin_options.KubeconfigOption = None,
    context: plugin_options.ContextOption = None,
) -> None:
    """Print the DNS records that sending domains need, as status lists them."""

    async def look() -> None:
        async with Cluster.connect(kubeconfig, context) as cluster:
            found = await cluster.select(domains(names or []), namespace or cluster.namespace)
        if not found:
            raise PluginError("there is no SendingDomain in this namespace.")
        layout = Layout(output, terraform_provider)
        try:
            if show_status_records(found, layout, missing=missing) and missing:
                raise typer.Exit(1)
        except CannotPublish as error:
            raise PluginError(str(error)) from None

    plugin_options.edge(look())


def domains(words: Sequence[str]) -> list[tuple[Kind, str | None]]:
    """Read ``NAME`` or ``sendingdomain/NAME``."""
    if not words:
        return [(Kind.SENDING_DOMAIN, None)]
    targets: list[tuple[Kind, str | None]] = []
    for word in words:
        kind, slash, name = word.rpartition("/")
        if slash and plugin_options.kind_of(kind) is not Kind.SENDING_DOMAIN:
            raise PluginError(f"{word} has no DNS records: name SendingDomains.")
        targets.append((Kind.SENDING_DOMAIN, name))
    return targets


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the plugin."""
    run(app, arguments)
