# SPDX-License-Identifier: Apache-2.0
"""``postroom report``: what is broken, whose turn it is and what to paste, for people without
kubectl."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from postroom.api.names import GROUP
from postroom.cli import check, described, guessing, options, plugin_options, report_output
from postroom.cli.cluster import Cluster, PluginError
from postroom.cli.options import say
from postroom.report import reading
from postroom.report.shape import ReportSource
from postroom.settings import Settings, load

#: Bytes: some ten thousand objects.
_INPUT_LIMIT = 256 * 1024 * 1024
_HOW = "hand in what kubectl get sendingdomains,mailservers,emailaccounts -A -o json prints."


def report(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files and directories to check, a domain, or - for JSON of objects with their "
            "status; nothing: the cluster of the kubeconfig."
        ),
    ] = None,
    html: report_output.HTMLOption = None,
    as_json: report_output.JSONOption = False,
    exit_code: report_output.ExitCodeOption = False,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", help="Of the cluster, or of objects in files that name none."
        ),
    ] = None,
    all_namespaces: plugin_options.AllNamespacesOption = False,
    kubeconfig: plugin_options.KubeconfigOption = None,
    context: plugin_options.ContextOption = None,
    provider: described.ProviderOption = None,
    set_: described.SetOption = None,
    ignore: options.IgnoreOption = None,
    dns_resolver: options.DNSResolverOption = None,
    dns_authoritative_port: options.DNSAuthoritativePortOption = None,
    allow_cidr: options.AllowCIDROption = None,
    allow_port: options.AllowPortOption = None,
    allow_token_host: options.AllowTokenHostOption = None,
    ownership_key_file: options.OwnershipKeyFileOption = None,
) -> None:
    """Write a page for people without kubectl: what is broken, whose turn it is, what to paste.

    Files and domains are looked at now, as `postroom check` does. Of a cluster, and of JSON at
    standard input, the page shows what status says, and nothing is looked at.

    Exits 0, 2: the input is bad, 3: not all of a folder could be read; with --exit-code as
    `postroom check`.
    """
    flags = {
        "dns_resolvers": dns_resolver,
        "dns_authoritative_port": dns_authoritative_port,
        "allow_cidrs": allow_cidr,
        "allow_ports": allow_port,
        "allow_token_hosts": allow_token_host,
        "ownership_key_file": ownership_key_file,
    }
    words = (targets or (), namespace or "default", provider, set_ or (), ignore or ())
    chosen = ChosenCluster(kubeconfig, context, namespace, everywhere=all_namespaces)
    try:
        report_output.refuse_places(html, as_json=as_json)
        found = gather(check.CheckInput(*words), flags, chosen)
        made = report_output.write(found.objects, found.source, html, as_json=as_json)
    except (report_output.ReportNotWritten, PluginError, ValueError) as error:
        raise options.fail("report", str(error), getattr(error, "exit_code", 2)) from None
    verdict = report_output.exit_code(made) if exit_code else options.ExitCode.READY
    raise typer.Exit(options.worst(found.read, verdict))


@dataclass(frozen=True, slots=True)
class ChosenCluster:
    """Whose objects are read where no files are named."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class GatheredObjects:
    """What a report is made of; `read`: with which exit code it was read."""

    source: ReportSource
    objects: Sequence[Mapping[str, Any]]
    read: int = options.ExitCode.READY


def gather(
    given: check.CheckInput, flags: Mapping[str, object], chosen: ChosenCluster
) -> GatheredObjects:
    """Look at files, or read what was found out before.

    Raises `ReportNotWritten`, `PluginError` and `ValueError`.
    """
    _refuse_unused(given, chosen)
    if not given.targets:
        return asyncio.run(_of_cluster(chosen))
    if "-" in given.targets:
        return GatheredObjects(ReportSource.INPUT, objects_in(sys.stdin.buffer))
    settings = load(flags, os.environ)
    guessed = guessing.provider_of(given.targets, given.provider, settings, verb="report")
    return asyncio.run(of_files(replace(given, provider=guessed), settings))


def _refuse_unused(given: check.CheckInput, chosen: ChosenCluster) -> None:
    """Raise `ReportNotWritten` for what was asked of another source than the one that is read."""
    if given.targets and (chosen.kubeconfig or chosen.context or chosen.everywhere):
        raise report_output.ReportNotWritten(
            "files and standard input go without --kubeconfig, --context and -A."
        )
    reads_input = "-" in given.targets
    if reads_input and (len(given.targets) > 1 or chosen.namespace):
        raise report_output.ReportNotWritten("standard input (-) goes alone, and without -n.")
    looks = given.targets and not reads_input
    if not looks and (given.provider or given.parameters or given.ignore):
        raise report_output.ReportNotWritten("--provider, --set and --ignore go with files.")


async def _of_cluster(chosen: ChosenCluster) -> GatheredObjects:
    async with Cluster.connect(chosen.kubeconfig, chosen.context) as cluster:
        place = None if chosen.everywhere else chosen.namespace or cluster.namespace
        return GatheredObjects(ReportSource.CLUSTER, await cluster.select([], place))


async def of_files(given: check.CheckInput, settings: Settings) -> GatheredObjects:
    """Look at files once, as `postroom check` does; raises `ReportNotWritten` where none has
    anything of ours, but for folders, in which there may be nothing."""
    found, sign_ins = given.read(), check.SignIns()
    for complaint in found.complaints:
        say(str(complaint), errors=True)
    if not found.resources and not found.only_folders:
        raise report_output.ReportNotWritten("no resource of postroom.dev was read.")
    world = check.world_of(found, settings, sign_ins.note)
    try:
        await world.check(check.AT_ONCE, check.Lines(check.BETWEEN_LINES, "report").say)
    finally:
        await world.outbound.close()
    if sign_ins != check.SignIns():
        say(str(sign_ins), errors=True)
    read = found.exit_code(empty=not found.resources)
    return GatheredObjects(ReportSource.FILES, check.objects_of(world), read)


def objects_in(stream: BinaryIO) -> list[Mapping[str, Any]]:
    """Read an object, a List of them or an array: what kubectl, or postroom check, prints as JSON.

    What is of no kind of ours is left out. Raises `ReportNotWritten`, also where nothing is left.
    """
    content = stream.read(_INPUT_LIMIT + 1)
    if len(content) > _INPUT_LIMIT:
        raise report_output.ReportNotWritten("the input is larger than 256 MiB.")
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError):
        raise report_output.ReportNotWritten(f"the input is no JSON: {_HOW}") from None
    listed = raw.get("items", [raw]) if isinstance(raw, dict) else raw
    found = [
        each
        for each in (listed if isinstance(listed, list) else ())
        if reading.is_ours(each) and str(each.get("apiVersion")).startswith(f"{GROUP}/")
    ]
    if not found:
        raise report_output.ReportNotWritten(f"the input holds no object of {GROUP}: {_HOW}")
    return found
