# SPDX-License-Identifier: Apache-2.0
"""``postroom lab``: DNS, SMTP and IMAP on loopback, for which the samples verify."""

import asyncio
import os
import shlex
import signal
from pathlib import Path
from typing import Annotated

import typer

from postroom.cli import demo_story, usage
from postroom.cli.options import say
from postroom.given_settings import PREFIX
from postroom.lab.lab import DNS_PORT, Lab, LabUnavailable, Reach
from postroom.settings import Settings, flag


def default_state() -> Path:
    """Where the lab's authority is kept."""
    root = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(root).expanduser() / "postroom" / "lab"


def variables(reach: Reach) -> tuple[str, ...]:
    """What its flags for the network set, as variables, which every verb reads."""
    names = {flag(name): name for name in Settings.model_fields}
    given: dict[str, list[str]] = {}
    for each in reach.network_flags:
        name, _, value = each.partition("=")
        given.setdefault(names[name], []).append(value)
    return tuple(f"{PREFIX}{name.upper()}={','.join(values)}" for name, values in given.items())


def _samples() -> str:
    """What there is to check: the samples, which only a checkout has."""
    samples = demo_story.SAMPLES
    return os.path.relpath(samples) if samples.is_dir() else "YOURS.yaml"


def lab(
    address: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    dns_port: Annotated[int, typer.Option(help="Port of the DNS server.")] = DNS_PORT,
    state_dir: Annotated[
        Path | None, typer.Option(help="Where the lab's certificate authority is kept.")
    ] = None,
) -> None:
    """Run the local mail lab until interrupted. Nothing leaves this machine."""
    try:
        asyncio.run(_serve(address, dns_port, state_dir or default_state()))
    except (LabUnavailable, ValueError) as error:
        say(f"postroom lab: {error}", errors=True)
        raise typer.Exit(2) from None


async def _serve(address: str, dns_port: int, state: Path) -> None:
    stopped = asyncio.Event()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(wanted, stopped.set)
    async with Lab(state, address=address, dns_port=dns_port) as running:
        manifest = state / "lab-ca.yaml"
        manifest.write_text(running.ca_manifest())
        say("The lab runs:")
        for name, place in running.listeners:
            say(f"  {name:24} {place}")
        check = shlex.join(["check", _samples(), str(manifest), *running.reach.flags])
        say(f"\nIn another terminal:\n  {usage.called()} {check}")
        say(f"or, for all verbs:\n  export {' '.join(variables(running.reach))}")
        say(f"  nsupdate: server {address} {dns_port}   (edits the zones while they are served)")
        say("\nStop with Ctrl-C.")
        await stopped.wait()
    say("The lab has stopped.")
