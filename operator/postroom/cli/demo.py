# SPDX-License-Identifier: Apache-2.0
"""``postroom demo``: the story on the lab, without a cluster or on a real control plane.

YAML becomes verified truth; one record breaks; the finding says which; its fix mends it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from postroom.api.conditions import ConditionType, is_true
from postroom.api.names import Key, Kind
from postroom.api.sendingdomain import SendingDomainStatus
from postroom.cli import manifests, table
from postroom.cli.check import AT_ONCE, console, objects_of, world_of
from postroom.dns import spf
from postroom.dns.quoting import quoted
from postroom.lab.lab import Lab, LabUnavailable
from postroom.settings import Settings, load

#: In a checkout; the wheel does not carry them.
SAMPLES = Path(__file__).resolve().parents[3] / "manifests" / "samples"
DOMAIN, SENDING_DOMAIN = "send.example.com", Key(Kind.SENDING_DOMAIN, "mail", "send-example-com")
#: What somebody publishes by mistake: the SPF record of a former provider, instead of adding to it.
BROKEN_SPF = "v=spf1 include:spf.old-provider.example.net -all"
_PATIENCE = 20.0


class DemoFailed(Exception):
    """The story did not go as it should; the text is one sentence."""


def demo(
    cluster: Annotated[
        bool, typer.Option("--cluster", help="With the operator on a real control plane.")
    ] = False,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(help="With the operator on this cluster (implies --cluster)."),
    ] = None,
    address: Annotated[str, typer.Option(help="Loopback address for the lab.")] = "127.0.0.1",
) -> None:
    """Tell the story: verify, break a record, read the fix, apply it, verified again."""
    if not SAMPLES.is_dir():
        typer.echo("postroom demo: manifests/samples is missing: run it from a checkout.", err=True)
        raise typer.Exit(2)
    try:
        if cluster or kubeconfig is not None:
            from postroom.cli.demo_cluster import tell_on_cluster

            asyncio.run(tell_on_cluster(Narrator(), address, kubeconfig))
        else:
            asyncio.run(_tell(Narrator(), address))
    except (DemoFailed, LabUnavailable) as error:
        typer.echo(f"postroom demo: {error}", err=True)
        raise typer.Exit(1) from None


class Narrator:
    """Prints the chapters of the story with the time that they took."""

    def __init__(self) -> None:
        self.console: Console = console()
        self._began = time.monotonic()

    def chapter(self, text: str) -> None:
        """Begin a chapter."""
        elapsed = time.monotonic() - self._began
        self.console.print(f"\n[{elapsed:5.1f} s] {text}", style="bold cyan", markup=False)

    def line(self, text: str) -> None:
        """Say something more."""
        self.console.print(text, markup=False, soft_wrap=True)


async def _tell(narrator: Narrator, address: str) -> None:
    with tempfile.TemporaryDirectory(prefix="postroom-demo-") as scratch:
        state = Path(scratch)
        async with Lab(state, address=address) as lab:
            narrator.chapter("The lab runs: DNS, SMTP and IMAP on this machine's loopback.")
            for name, place in lab.listeners:
                narrator.line(f"  {name:24} {place}")
            (state / "lab-ca.yaml").write_text(lab.ca_manifest(("mail",)))
            found = manifests.load([SAMPLES, state / "lab-ca.yaml"], "default")
            if found.complaints:
                raise DemoFailed(str(found.complaints[0]))
            world = world_of(found, settings_for(lab))

            async def look(what: str, ready: bool) -> None:
                await until(lambda: world.check(AT_ONCE), ready, what)

            narrator.chapter("postroom check manifests/samples: from YAML to verified truth.")
            await look("the samples become Ready", True)
            table.show(narrator.console, objects_of(world))
            await break_record(narrator, lab)
            await look("the break is noticed", False)
            table.show(narrator.console, _only(objects_of(world), SENDING_DOMAIN))
            status = dict(world.statuses())[SENDING_DOMAIN]
            narrator.chapter("The fix that the finding names is applied to the zone.")
            apply_fix(narrator, lab, status)
            await look("the fix works", True)
            table.show(narrator.console, _only(objects_of(world), SENDING_DOMAIN))
            if not is_true(dict(world.statuses())[SENDING_DOMAIN].conditions, ConditionType.READY):
                raise DemoFailed("the domain is not verified again.")
            narrator.chapter("Verified again. The lab stops; nothing is left behind.")


def settings_for(lab: Lab) -> Settings:
    """The operator's settings that lead to a lab."""
    given: dict[str, Any] = {}
    names = {
        "--dns-resolver": "dns_resolvers",
        "--dns-authoritative-port": "dns_authoritative_port",
        "--allow-cidr": "allow_cidrs",
        "--allow-port": "allow_ports",
    }
    for flag in lab.reach.flags:
        name, _, value = flag.partition("=")
        given.setdefault(names[name], []).append(value)
    given["dns_authoritative_port"] = given["dns_authoritative_port"][0]
    return load(given, {})


def _only(objects: list[dict[str, Any]], key: Key) -> list[dict[str, Any]]:
    return [
        one
        for one in objects
        if (one["kind"], one["metadata"]["name"]) == (key.kind.value, key.name)
    ]


async def until(look: Callable[[], Any], wanted: bool, what: str) -> None:
    """Look until the answer is as wanted; raises `DemoFailed` after a while."""
    deadline = time.monotonic() + _PATIENCE
    while bool(await look()) is not wanted:
        if time.monotonic() > deadline:
            raise DemoFailed(f"it did not happen in time that {what}.")
        await asyncio.sleep(0.5)


async def break_record(narrator: Narrator, lab: Lab) -> None:
    """Let somebody replace the SPF record of the domain."""
    narrator.chapter(f"Somebody replaces the SPF record of {DOMAIN}:")
    narrator.line(f"  {DOMAIN} TXT {BROKEN_SPF}")
    others = [one for one in lab.zones.get(DOMAIN, "TXT") if not spf.is_spf(one)]
    lab.zones.replace(DOMAIN, "TXT", [*others, BROKEN_SPF])


def apply_fix(narrator: Narrator, lab: Lab, status: object) -> None:
    """Do to the zone what the first finding's fix says."""
    findings = status.findings if isinstance(status, SendingDomainStatus) else []
    fix = next((one.fix for one in findings if one.fix is not None), None)
    if fix is None or not fix.value:
        raise DemoFailed("no finding offers a fix.")
    for gone in fix.remove:
        there = lab.zones.get(gone.name, gone.type)
        lab.zones.replace(gone.name, gone.type, [one for one in there if quoted(one) != gone.value])
        narrator.line(f"  - {gone.name} {gone.type} {gone.value}")
    lab.zones.add(fix.name, fix.type, fix.value)
    narrator.line(f"  + {fix.name} {fix.type} {fix.value}")
