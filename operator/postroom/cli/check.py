# SPDX-License-Identifier: Apache-2.0
"""``postroom check``: evaluate manifests without a cluster."""

import asyncio
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from postroom.api.conditions import ConditionStatus, ConditionType, find, is_true
from postroom.api.fields import parse_duration
from postroom.api.names import API_VERSION
from postroom.cli import described, manifests, options, table
from postroom.cli.directory import DirectoryWorld
from postroom.controller.network import reach
from postroom.dns.asking.retrying import Timing
from postroom.mail.probes import NetworkProbes, Observe
from postroom.mail.report import ProbeReport
from postroom.reconcile.engine import Policy
from postroom.settings import Settings, SettingsError, load

#: One look decides: there is no earlier verdict to protect.
AT_ONCE = Policy(regression_confirmation=timedelta(), dependency_patience=timedelta())
#: Somebody waits, and sees how far it is: rather long than without a verdict.
PATIENT = Timing(queue=600.0)
_AGAIN = 2.0
#: Seconds between two lines about how far it is, where no terminal shows it.
_BETWEEN_LINES = 5.0

_IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(help="What of a folder is left out, as a line of .gitignore says it."),
]
_AllowCIDROption = Annotated[
    list[str] | None,
    typer.Option(help="Private network in which mail and name servers may be dialled."),
]
_AllowPortOption = Annotated[
    list[str] | None, typer.Option(help="Further port that may be dialled.")
]
_AllowTokenHostOption = Annotated[
    list[str] | None,
    typer.Option(help="Host of a token endpoint that is not built in."),
]


def check(
    targets: Annotated[
        list[str],
        typer.Argument(help="Files and directories of YAML, - for standard input; or a domain."),
    ],
    provider: described.ProviderOption = None,
    set_: described.SetOption = None,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Namespace of objects that name none.")
    ] = "default",
    output: Annotated[
        options.Output, typer.Option("--output", "-o", help="Form of the result.")
    ] = (options.Output.TABLE),
    wait: Annotated[
        str | None,
        typer.Option(help="Look again until all is Ready, at most this long (such as 5m)."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again when a file changes, and every 30 s.")
    ] = False,
    ignore: _IgnoreOption = None,
    dns_resolver: options.DNSResolverOption = None,
    dns_authoritative_port: options.DNSAuthoritativePortOption = None,
    allow_cidr: _AllowCIDROption = None,
    allow_port: _AllowPortOption = None,
    allow_token_host: _AllowTokenHostOption = None,
    ownership_key_file: options.OwnershipKeyFileOption = None,
    unknown_is_ok: Annotated[
        bool,
        typer.Option("--unknown-is-ok", help="Exit 0, not 3, where something cannot be looked at."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the exit code.")] = False,
) -> None:
    """Evaluate resources from files, as the operator would in a cluster.

    Exits 0 when all is Ready, 1 when something is broken, 2 when the input is bad, 3 when nothing
    is broken but something could not be looked at.
    """
    try:
        settings = load(
            {
                "dns_resolvers": dns_resolver,
                "dns_authoritative_port": dns_authoritative_port,
                "allow_cidrs": allow_cidr,
                "allow_ports": allow_port,
                "allow_token_hosts": allow_token_host,
                "ownership_key_file": ownership_key_file,
            },
            os.environ,
        )
        patience = parse_duration(wait) if wait else timedelta()
        source = CheckInput(targets, namespace, provider, set_ or (), ignore or ())
        if provider or set_:
            source.read()  # for what is wrong with the flags
    except (SettingsError, ValueError) as error:
        raise options.fail("check", str(error)) from None
    run = CheckRun(source, settings, output, quiet=quiet, unknown_is_ok=unknown_is_ok)
    raise typer.Exit(asyncio.run(run.watch() if watch else run.once(patience)))


@dataclass(frozen=True, slots=True)
class CheckInput:
    """What is checked: files, or the domain that the flags describe."""

    targets: Sequence[str]
    namespace: str
    provider: str | None = None
    parameters: Sequence[str] = ()
    ignore: Sequence[str] = ()

    def read(self) -> manifests.Manifests:
        """Read it anew; raises `BadFlag`."""
        found = described.read(
            self.targets, self.namespace, self.provider, self.parameters, self.ignore
        )
        described.complain_of_parameters(found)
        return found

    def stamp(self) -> list[tuple[str, int]]:
        """All files and when they changed."""
        paths = [] if described.is_domain(self.targets) else map(Path, self.targets)
        files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
        return sorted((str(file), file.stat().st_mtime_ns) for file in files if file.is_file())

    def next_step(self) -> str:
        """What shows the records that a domain lacks; "" for files, which say what they need."""
        if not described.is_domain(self.targets):
            return ""
        return described.what_to_publish(self.targets[0], self.provider, self.parameters)


class CheckRun:
    """One invocation: reads, evaluates, prints."""

    def __init__(
        self,
        source: CheckInput,
        settings: Settings,
        output: options.Output,
        *,
        quiet: bool,
        unknown_is_ok: bool = False,
    ) -> None:
        self._source, self._settings = source, settings
        self._output, self._quiet, self._unknown_is_ok = output, quiet, unknown_is_ok
        self._errors = Console(stderr=True, highlight=False)
        self._sign_ins = SignIns()

    async def once(self, patience: timedelta) -> int:
        """Evaluate, again and again while there is patience; print; return the exit code."""
        found = self._source.read()
        world = world_of(found, self._settings, self._sign_ins.note)
        deadline = time.monotonic() + patience.total_seconds()
        try:
            while not await self._evaluate(world):
                if time.monotonic() + _AGAIN > deadline:
                    break
                await asyncio.sleep(_AGAIN)
        finally:
            await world.outbound.close()
        self._print(world, found)
        code = exit_code(found, world)
        unknown = code == options.ExitCode.COULD_NOT_LOOK
        return options.ExitCode.READY if unknown and self._unknown_is_ok else code

    async def watch(self) -> int:
        """Evaluate whenever a file changes, and every half a minute, until interrupted."""
        found = self._source.read()
        world = world_of(found, self._settings, self._sign_ins.note)
        try:
            while True:
                stamp = self._source.stamp()
                await self._evaluate(world)
                console().clear()
                if not self._quiet and self._output is options.Output.TABLE:
                    typer.echo(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}")
                self._print(world, found)
                if await self._changes(stamp):
                    found = self._source.read()
                    world.replace(found)
        finally:
            await world.outbound.close()

    async def _changes(self, stamp: list[tuple[str, int]]) -> bool:
        """Wait for half a minute, or until a file changes; tell whether one did."""
        for _ in range(15):
            await asyncio.sleep(_AGAIN)
            if self._source.stamp() != stamp:
                return True
        return False

    async def _evaluate(self, world: DirectoryWorld) -> bool:
        if self._quiet:
            return await world.check(AT_ONCE)
        if not self._errors.is_terminal:
            return await world.check(AT_ONCE, Lines(_BETWEEN_LINES).say)
        with self._errors.status("Looking ...") as status:
            return await world.check(
                AT_ONCE, lambda done, total: status.update(f"Looked at {done} of {total} ...")
            )

    def _print(self, world: DirectoryWorld, found: manifests.Manifests) -> None:
        for complaint in found.complaints:
            typer.echo(str(complaint), err=True)
        if not found.resources and not found.complaints:
            typer.echo(
                "postroom check: there is no resource of postroom.dev in the input.", err=True
            )
        if self._quiet:
            return
        objects = objects_of(world)
        if self._output is options.Output.TABLE:
            table.show(console(), objects)
            step = self._source.next_step()
            if step and not found.complaints and exit_code(found, world) != options.ExitCode.READY:
                typer.echo(f"\nThe records to publish: {step}")
        else:
            print_objects(objects, self._output)
        if self._sign_ins != SignIns():
            # Whoever repeats this in CI should know: servers lock mailboxes after some refusals.
            typer.echo(str(self._sign_ins), err=True)


class Lines:
    """Says now and then on standard error how far a look is, if it takes long."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._said = seconds, time.monotonic()

    def say(self, done: int, total: int) -> None:
        """So many of all resources were looked at."""
        if done < total and time.monotonic() - self._said >= self._seconds:
            self._said = time.monotonic()
            typer.echo(f"postroom check: looked at {done} of {total} ...", err=True)


def console() -> Console:
    """Standard output: coloured on a terminal, plain and wide enough otherwise, or as wide as
    COLUMNS says."""
    probe = Console(highlight=False)
    if probe.is_terminal or os.environ.get("COLUMNS", "").isdecimal():
        return probe
    return Console(highlight=False, width=200)


def exit_code(found: manifests.Manifests, world: DirectoryWorld) -> int:
    """Return the worst of what there is: bad input, broken, not looked at, Ready."""
    if found.complaints or not (found.resources or found.only_folders):
        return options.ExitCode.BAD_INPUT
    verdicts = {
        None if ready is None else ready.status
        for _, status in world.statuses()
        if not is_true(status.conditions, ConditionType.SUSPENDED)
        for ready in (find(status.conditions, ConditionType.READY),)
    }
    if ConditionStatus.FALSE in verdicts:
        return options.ExitCode.NOT_READY
    return (
        options.ExitCode.READY
        if verdicts <= {ConditionStatus.TRUE}
        else options.ExitCode.COULD_NOT_LOOK
    )


@dataclass
class SignIns:
    """How often credentials were sent to mail servers, and how often these refused them."""

    accepted: int = 0
    refused: int = 0

    def note(self, kind: str, seconds: float, report: ProbeReport) -> None:
        """Count one session; implements `postroom.mail.probes.Observe`."""
        if report.authenticated is not None:
            self.accepted += report.authenticated
            self.refused += not report.authenticated

    def __str__(self) -> str:
        times = self.accepted + self.refused
        return (
            f"Signed in to mail servers {times} time{'s' * (times != 1)}, of which {self.refused} "
            f"{'were' if self.refused != 1 else 'was'} refused."
        )


def world_of(
    found: manifests.Manifests, settings: Settings, observe: Observe | None = None
) -> DirectoryWorld:
    """Build the world of manifests, with the network as the settings say.

    `observe` is told of every session with a mail server.
    """
    # No status outlives this process, so that it could not keep from sending a message twice.
    outbound = replace(reach(settings, api_server="", timing=PATIENT), messages=None)
    if observe is not None and isinstance(outbound.mail, NetworkProbes):
        outbound.mail.observe = observe
    return DirectoryWorld(found, outbound, replace(settings.ownership, key_elsewhere=True))


def objects_of(world: DirectoryWorld) -> list[dict[str, Any]]:
    """Return every resource with what a reader needs of it."""
    return [
        {
            "apiVersion": API_VERSION,
            "kind": key.kind.value,
            "metadata": {"namespace": key.namespace, "name": key.name},
            "spec": world.raw(key).get("spec"),
            "status": world.raw(key).get("status"),
        }
        for key, _ in world.statuses()
    ]


def print_objects(objects: Sequence[Mapping[str, Any]], output: options.Output) -> None:
    """Print objects without their spec, as one YAML or JSON list."""
    shown = [
        {key: value for key, value in resource.items() if key != "spec"} for resource in objects
    ]
    if output is options.Output.JSON:
        typer.echo(json.dumps(shown, indent=2))
    else:
        typer.echo(yaml.safe_dump(shown, sort_keys=False, width=1000), nl=False)
