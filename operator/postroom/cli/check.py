# SPDX-License-Identifier: Apache-2.0
"""``postroom check``: evaluate manifests without a cluster."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from stat import S_ISREG
from typing import Any

import typer

from postroom.api.conditions import ConditionStatus, ConditionType, find, is_true
from postroom.api.names import API_VERSION
from postroom.cli import check_options, described, manifests, options, table, terminal
from postroom.cli.check_options import Destination
from postroom.cli.directory import DirectoryWorld
from postroom.cli.file_types import is_folder
from postroom.cli.formats.origins import Origins
from postroom.cli.formats.remarks import remarks_of
from postroom.cli.formats.results import CheckResult
from postroom.cli.formats.writing import Format, text_of
from postroom.cli.guessing import provider_of
from postroom.cli.options import say
from postroom.cli.secret_stores import FROM_INPUT, CannotUse, Credentialing, SecretStore
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
BETWEEN_LINES = 5.0


def check(
    targets: check_options.Targets,
    provider: described.ProviderOption = None,
    set_: described.SetOption = None,
    namespace: check_options.Namespace = "default",
    output: check_options.OutputOption = Format.TABLE,
    write: check_options.Write = None,
    wait: check_options.Wait = None,
    watch: check_options.Watch = False,
    ignore: options.IgnoreOption = None,
    source_root: check_options.SourceRoot = Path(),
    offline: check_options.Offline = False,
    without_credentials: check_options.WithoutCredentials = False,
    secrets_from: check_options.SecretsFromOption = None,
    secrets_dir: check_options.SecretsDir = None,
    kubeconfig: check_options.Kubeconfig = None,
    context: check_options.Context = None,
    dns_resolver: options.DNSResolverOption = None,
    dns_authoritative_port: options.DNSAuthoritativePortOption = None,
    allow_cidr: options.AllowCIDROption = None,
    allow_port: options.AllowPortOption = None,
    allow_token_host: options.AllowTokenHostOption = None,
    ownership_key_file: options.OwnershipKeyFileOption = None,
    unknown_is_ok: check_options.UnknownIsOk = False,
    quiet: check_options.Quiet = False,
) -> None:
    """Evaluate resources from files, as the operator would in a cluster.

    Exits 0: all is Ready, 1: something is broken, 2: bad input, 3: something cannot be looked at.
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
        patience = check_options.patience(wait)
        provider = provider_of(targets, provider, settings, asks=not offline, says=not quiet)
        source = CheckInput(targets, namespace, provider, set_ or (), ignore or (), source_root)
        run = CheckRun(
            source,
            settings,
            output,
            quiet=quiet,
            unknown_is_ok=unknown_is_ok,
            credentials=check_options.credentials_of(
                without_credentials, secrets_from, secrets_dir, kubeconfig, context
            ),
            destinations=[check_options.destination(each) for each in write or ()],
            offline=offline,
        )
    except (SettingsError, ValueError) as error:
        raise options.fail("check", str(error)) from None
    raise typer.Exit(asyncio.run(run.watch() if watch else run.once(patience)))


@dataclass(frozen=True, slots=True)
class CheckInput:
    """What is checked: files, or the domain that the flags describe."""

    targets: Sequence[str]
    namespace: str
    provider: str | None = None
    parameters: Sequence[str] = ()
    ignore: Sequence[str] = ()
    source_root: Path = field(default_factory=Path)

    def read(self) -> manifests.Manifests:
        """Read it anew; raises `BadFlag`."""
        found = described.read(
            self.targets, self.namespace, self.provider, self.parameters, self.ignore
        )
        described.complain_of_parameters(found)
        return found

    def refuse_flags(self) -> None:
        """Raise `BadFlag` for what is wrong with the flags themselves."""
        if self.provider or self.parameters:
            self.read()

    def stamp(self) -> list[tuple[str, int]]:
        """All files and when they changed."""
        paths = [] if described.is_domain(self.targets) else map(Path, self.targets)
        files = [
            file for path in paths for file in (path.rglob("*") if is_folder(path) else [path])
        ]
        found = []
        for file in files:
            # Editors write beside a file, and what was listed may be gone again.
            with suppress(OSError):
                seen = file.stat()
                found += [(str(file), seen.st_mtime_ns)] if S_ISREG(seen.st_mode) else []
        return sorted(found)

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
        output: str,
        *,
        quiet: bool,
        unknown_is_ok: bool = False,
        credentials: Credentialing = FROM_INPUT,
        destinations: Sequence[Destination] = (),
        offline: bool = False,
    ) -> None:
        source.refuse_flags()
        self._source, self._settings = source, settings
        self._output, self._quiet, self._unknown_is_ok = Format(output), quiet, unknown_is_ok
        self._credentials, self._destinations = credentials, destinations
        self._offline = offline
        self._errors = terminal.errors()
        self._sign_ins = SignIns()

    async def once(self, patience: timedelta) -> int:
        """Evaluate, again and again while there is patience; print; return the exit code."""
        found = self._source.read()
        deadline = time.monotonic() + patience.total_seconds()
        async with self._world(found) as world:
            while not await self._evaluate(world):
                if time.monotonic() + _AGAIN > deadline:
                    break
                await asyncio.sleep(_AGAIN)
            code = self._exit_code(found, world)
            return self._print(world, found, code)

    async def watch(self) -> int:
        """Evaluate whenever a file changes, and every half a minute, until interrupted."""
        found = self._source.read()
        async with self._world(found) as world:
            while True:
                stamp = self._source.stamp()
                await self._evaluate(world)
                terminal.output().clear()
                if not self._quiet and self._output is Format.TABLE:
                    say(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}")
                self._print(world, found, self._exit_code(found, world))
                if await self._changes(stamp):
                    found = self._source.read()
                    self._credentials.refuse(found)
                    world.replace(found)

    @asynccontextmanager
    async def _world(self, found: manifests.Manifests) -> AsyncIterator[DirectoryWorld]:
        """The world of the input, and of the Secrets that are elsewhere; ends the program where
        these cannot be used."""
        credentials = self._credentials
        try:
            async with credentials.opened(found) as store:
                world = world_of(
                    found,
                    self._settings,
                    self._sign_ins.note,
                    store=store,
                    signs_in=not credentials.withheld,
                )
                try:
                    yield world
                finally:
                    await world.outbound.close()
        except CannotUse as error:
            raise options.fail("check", str(error)) from None

    def _exit_code(self, found: manifests.Manifests, world: DirectoryWorld) -> int:
        code = exit_code(found, world)
        unknown = code == options.ExitCode.COULD_NOT_LOOK
        # Whoever reads files only wants to know of each that was not.
        is_ok = self._unknown_is_ok or (self._offline and not found.complaints)
        return options.ExitCode.READY if unknown and is_ok else code

    async def _changes(self, stamp: list[tuple[str, int]]) -> bool:
        """Wait for half a minute, or until a file changes; tell whether one did."""
        for _ in range(15):
            await asyncio.sleep(_AGAIN)
            if self._source.stamp() != stamp:
                return True
        return False

    async def _evaluate(self, world: DirectoryWorld) -> bool:
        if self._offline:
            return True
        if self._quiet:
            return await world.check(AT_ONCE)
        if not self._errors.is_interactive:
            return await world.check(AT_ONCE, Lines(BETWEEN_LINES).say)
        with self._errors.status("Looking ...") as status:
            return await world.check(
                AT_ONCE, lambda done, total: status.update(f"Looked at {done} of {total} ...")
            )

    def _print(self, world: DirectoryWorld, found: manifests.Manifests, code: int) -> int:
        """Print and write the result; return the exit code, which a file may spoil."""
        told = self._output is Format.GITHUB and not self._quiet  # in annotations
        for complaint in () if told else found.complaints:
            say(str(complaint), errors=True)
        if not found.resources and not found.complaints:
            say("postroom check: there is no resource of postroom.dev in the input.", errors=True)
        objects = objects_of(world)
        origins = Origins(self._source.source_root)
        remarks = remarks_of(found, world.statuses(), origins)
        result = CheckResult(objects, remarks, code)
        for form, file in self._destinations:
            try:
                file.write_text(text_of(result, form), encoding="utf-8", newline="\n")
            except OSError as error:
                code = options.fail("check", f"--write {file}: {error.strerror}.").exit_code
        if self._quiet:
            return code
        mistyped = found.complaints and described.is_domain(self._source.targets)
        if self._output is Format.TABLE and not mistyped:
            table.show(terminal.output(), objects, details=not self._offline)
            if self._offline:
                say(f"\n{table.summary(objects)}")
            step = self._source.next_step()
            is_ready = exit_code(found, world) == options.ExitCode.READY
            if step and not (found.complaints or is_ready or self._offline):
                say(f"\nThe records to publish: {step}")
        elif self._output is not Format.TABLE:
            typer.echo(text_of(result, self._output), nl=False)
        if self._sign_ins != SignIns():
            # Whoever repeats this in CI should know: servers lock mailboxes after some refusals.
            say(str(self._sign_ins), errors=True)
        return code


class Lines:
    """Says now and then on standard error how far a look is, if it takes long."""

    def __init__(self, seconds: float, verb: str = "check") -> None:
        self._seconds, self._said, self._verb = seconds, time.monotonic(), verb

    def say(self, done: int, total: int) -> None:
        """So many of all resources were looked at."""
        if done < total and time.monotonic() - self._said >= self._seconds:
            self._said = time.monotonic()
            say(f"postroom {self._verb}: looked at {done} of {total} ...", errors=True)


def exit_code(found: manifests.Manifests, world: DirectoryWorld) -> int:
    """Return the worst of what there is: bad input, broken, not looked at, Ready."""
    verdicts = {
        None if ready is None else ready.status
        for _, status in world.statuses()
        if not is_true(status.conditions, ConditionType.SUSPENDED)
        for ready in (find(status.conditions, ConditionType.READY),)
    }
    codes: dict[ConditionStatus | None, int] = {
        ConditionStatus.TRUE: options.ExitCode.READY,
        ConditionStatus.FALSE: options.ExitCode.NOT_READY,
    }
    looks = [codes.get(verdict, options.ExitCode.COULD_NOT_LOOK) for verdict in verdicts]
    return options.worst(found.exit_code(empty=not found.resources), *looks)


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
    found: manifests.Manifests,
    settings: Settings,
    observe: Observe | None = None,
    *,
    store: SecretStore | None = None,
    signs_in: bool = True,
) -> DirectoryWorld:
    """Build the world of manifests, with the network as the settings say.

    `observe` is told of every session with a mail server. `store` has Secrets that are not in the
    input.
    """
    reached = reach(settings, api_server="", timing=PATIENT)
    # No status outlives this process, so that it could not keep from sending a message twice.
    outbound = replace(reached, messages=None, signs_in=signs_in)
    if observe is not None and isinstance(outbound.mail, NetworkProbes):
        outbound.mail.observe = observe
    ownership = replace(settings.ownership, key_elsewhere=True)
    return DirectoryWorld(found, outbound, ownership, store)


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
