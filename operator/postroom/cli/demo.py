# SPDX-License-Identifier: Apache-2.0
"""``postroom demo``: the story on the lab, without a cluster or on a real control plane.

YAML becomes verified truth; one record breaks; the finding says which; its fix mends it. A mail
then arrives, and becomes a ticket of an application.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from postroom.api.conditions import ConditionType, is_true
from postroom.api.names import Key
from postroom.cli import demo_inbound, demo_story, manifests, table, usage
from postroom.cli.check import AT_ONCE, objects_of, world_of
from postroom.cli.lab import variables
from postroom.cli.options import say
from postroom.lab.lab import OWNERSHIP_KEY_FILE, Lab, LabUnavailable
from postroom.settings import KEY_FILE, Settings, load


def demo(
    cluster: Annotated[
        bool, typer.Option("--cluster", help="With the operator on a real control plane.")
    ] = False,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(help="With the operator on this cluster (implies --cluster)."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Loopback address for the lab.", show_default="127.0.0.1, or .2"),
    ] = None,
) -> None:
    """Tell the story: verify, break a record, read the fix, apply it; a mail becomes a ticket."""
    if not demo_story.SAMPLES.is_dir():
        say("postroom demo: manifests/samples is missing: run it from a checkout.", errors=True)
        raise typer.Exit(2)
    try:
        if cluster or kubeconfig is not None:
            from postroom.cli.demo_cluster import tell_on_cluster

            # Not where the API server listens: the dial guard forbids its address for mail.
            asyncio.run(tell_on_cluster(demo_story.Narrator(), address or "127.0.0.2", kubeconfig))
        else:
            asyncio.run(_tell(demo_story.Narrator(), address or "127.0.0.1"))
    except (demo_story.DemoFailed, LabUnavailable) as error:
        say(f"postroom demo: {error}", errors=True)
        raise typer.Exit(1) from None


async def _tell(narrator: demo_story.Narrator, address: str) -> None:
    with tempfile.TemporaryDirectory(prefix="postroom-demo-") as scratch:
        state = Path(scratch)
        async with Lab(state, address=address) as lab:
            narrator.chapter("The lab runs: DNS, SMTP and IMAP on this machine's loopback.")
            for name, place in lab.listeners:
                narrator.line(f"  {name:24} {place}")
            (state / "lab-ca.yaml").write_text(lab.ca_manifest(("mail",)))
            given = [demo_story.SAMPLES, state / "lab-ca.yaml", demo_inbound.signing_key(state)]
            found = manifests.load(given, "default")
            if found.complaints:
                raise demo_story.DemoFailed(str(found.complaints[0]))
            world = world_of(found, settings_for(lab))

            async def look(what: str, ready: bool) -> None:
                await demo_story.until(lambda: world.check(AT_ONCE), ready, what)

            def show(only: Key | None = None) -> None:
                wanted = None if only is None else (only.kind.value, only.name)
                objects = [
                    shown
                    for shown in objects_of(world)
                    if wanted in (None, (shown["kind"], shown["metadata"]["name"]))
                ]
                table.show(narrator.console, objects)

            narrator.chapter("The samples are checked: from YAML to verified truth.")
            await look("the samples become Ready", True)
            show()
            await demo_story.break_record(narrator, lab)
            await look("the break is noticed", False)
            show(demo_story.SENDING_DOMAIN)
            status = dict(world.statuses())[demo_story.SENDING_DOMAIN]
            narrator.chapter("The fix that the finding names is applied to the zone.")
            demo_story.apply_fix(narrator, lab, status)
            await look("the fix works", True)
            show(demo_story.SENDING_DOMAIN)
            if not is_true(
                dict(world.statuses())[demo_story.SENDING_DOMAIN].conditions, ConditionType.READY
            ):
                raise demo_story.DemoFailed("the domain is not verified again.")
            await demo_inbound.tell(narrator, lab, world, state)
            narrator.chapter("That is all. The lab stops; nothing is left behind.")
            narrator.line(
                f"To type along, run `{usage.called()} lab`:\n"
                "it keeps the lab running and prints the command that checks the samples."
            )


def settings_for(lab: Lab) -> Settings:
    """The operator's settings that lead to a lab."""
    told = dict(each.split("=", 1) for each in variables(lab.reach))
    return load({KEY_FILE: [str(OWNERSHIP_KEY_FILE)]}, told)
