# SPDX-License-Identifier: Apache-2.0
"""``kubectl postroom sync``, ``test`` and ``backfill``: what is asked of an EmailAccount by
annotation, and the answer that its status gives."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from postroom.api.emailaccount import Connection
from postroom.api.emailaccount_status import BackfillPhase
from postroom.api.names import Kind
from postroom.cli import (
    account_details,
    account_requests,
    completion,
    options,
    plugin_options,
    terminal,
)
from postroom.cli.cluster import Cluster, PluginError, fresh
from postroom.cli.options import Output, say

_Name = Annotated[
    str, typer.Argument(help="EmailAccount by NAME.", autocompletion=completion.accounts)
]


def sync(
    name: _Name,
    namespace: plugin_options.NamespaceOption = None,
    timeout: plugin_options.TimeoutOption = 60,
    output: plugin_options.OutputOption = Output.TABLE,
    kubeconfig: plugin_options.KubeconfigOption = None,
    context: plugin_options.ContextOption = None,
) -> None:
    """Look at the mailbox of an EmailAccount now, and show it. Exits 1 if it is not Ready."""

    async def ask() -> None:
        async with Cluster.connect(kubeconfig, context) as cluster:
            account = await _account(cluster, name, namespace)
            found = await cluster.checked([account], timeout)
        plugin_options.show(found, output, full=True)
        plugin_options.exit_unless_ready(found)

    plugin_options.edge(ask())


def test(
    name: _Name,
    to: Annotated[
        str | None, typer.Option(help="Whom to send to; default: the account itself.")
    ] = None,
    namespace: plugin_options.NamespaceOption = None,
    timeout: Annotated[
        float, options.waiting("How long to wait: it may take 5m until it is sent, and 10m more.")
    ] = 960,
    output: plugin_options.OutputOption = Output.TABLE,
    kubeconfig: plugin_options.KubeconfigOption = None,
    context: plugin_options.ContextOption = None,
) -> None:
    """Send one test message through an EmailAccount, and wait until it is found.

    Exits 0 only when it was delivered, or accepted where no mailbox is read.
    """

    async def ask() -> None:
        async with Cluster.connect(kubeconfig, context) as cluster:
            account = await _account(cluster, name, namespace)
            nonce = fresh()
            await cluster.annotate(account, account_requests.for_test(nonce, to))
            # What is waited for is printed apart from the result.
            told = partial(say, errors=True)
            found = await account_requests.tested(cluster, account, nonce, timeout, told)
        status = account_requests.status_of(found)
        result = status.last_test.result if status.last_test else None
        _print(found, account_details.result_lines(result), output)
        if result is None or result.outcome not in account_details.ARRIVED:
            raise typer.Exit(1)

    plugin_options.edge(ask())


def backfill(
    name: _Name,
    namespace: plugin_options.NamespaceOption = None,
    timeout: plugin_options.TimeoutOption = 120,
    output: plugin_options.OutputOption = Output.TABLE,
    kubeconfig: plugin_options.KubeconfigOption = None,
    context: plugin_options.ContextOption = None,
) -> None:
    """Count what arrived in the mailbox of an EmailAccount, day by day: spec.sync.backfillDays.

    Exits 1 if the mailbox cannot be read now.
    """

    async def ask() -> None:
        async with Cluster.connect(kubeconfig, context) as cluster:
            account = await _account(cluster, name, namespace)
            nonce = fresh()
            await cluster.annotate(account, account_requests.for_backfill(nonce))
            found = await account_requests.looked_back(cluster, account, nonce, timeout)
        last = account_requests.status_of(found).last_backfill
        _print(found, account_details.backfill_lines(last), output)
        if last is None or last.phase is not BackfillPhase.DONE:
            raise typer.Exit(1)

    plugin_options.edge(ask())


async def _account(cluster: Cluster, word: str, namespace: str | None) -> dict[str, Any]:
    """Return the account of ``NAME`` or ``emailaccount/NAME``; raises `PluginError`."""
    kind, slash, name = word.rpartition("/")
    if slash and plugin_options.kind_of(kind) is not Kind.EMAIL_ACCOUNT:
        raise PluginError(f"{word} has no mailbox: name an EmailAccount.")
    if not name:
        raise PluginError("name an EmailAccount.")
    place = namespace or cluster.namespace
    found = (await cluster.select([(Kind.EMAIL_ACCOUNT, name)], place))[0]
    spec = found.get("spec") or {}
    if spec.get("suspend"):
        raise PluginError(f"EmailAccount {name} is suspended: set spec.suspend to false first.")
    if spec.get("connection") == Connection.DISCONNECTED:
        raise PluginError(
            f"EmailAccount {name} is disconnected: set spec.connection to Connected first."
        )
    return found


def _print(raw: Mapping[str, Any], lines: Sequence[account_details.Line], output: Output) -> None:
    if not plugin_options.is_table(output):
        plugin_options.print_objects([raw], output)
        return
    account_details.print_lines(terminal.output(), lines)
