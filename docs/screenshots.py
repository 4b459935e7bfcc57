# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of docs/pictures/: `make screenshots`.

What they show is the lab's samples after somebody has replaced an SPF record, as `make demo` does,
and the tickets of examples/tickets: nothing in them is made up but the time, so that a picture
changes only when what it shows does.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import MONOKAI

from lab.chromium import Browser, browser
from postroom.api.names import Kind
from postroom.cli import demo_inbound, demo_story, manifests, table
from postroom.cli.check import AT_ONCE, objects_of, world_of
from postroom.cli.demo import settings_for
from postroom.delivery import signing
from postroom.delivery.events import Format, Place, attributes
from postroom.delivery.sinks.choice import Sinks
from postroom.delivery.sinks.http import Destination
from postroom.delivery.spool import Spool
from postroom.lab.lab import Lab
from postroom.mail.round_trip.header import read_header
from postroom.report import page, reading
from postroom.report.shape import ReportSource

PICTURES = Path(__file__).parent / "pictures"
#: Sender, subject, octets that are attached; in the order in which they arrive.
MESSAGES = (
    ("Ann <ann@example.net>", "Invoice 2026-117", 0),
    ("Ben <ben@example.net>", "The printer is on fire", 20_000),
    ("Cleo <cleo@example.net>", "Re: The printer is on fire", 0),
)
COMMAND = "$ postroom check domains.yaml"
_WHEN = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_COLUMNS = 110
_FRAME = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 20px 24px; background: #16181b; }}
pre {{ margin: 0; color: #e8e8e6; font: 15px/1.45 "DejaVu Sans Mono", monospace; }}
pre {{ white-space: pre-wrap; }}
{stylesheet}
</style><pre>{code}</pre>"""


async def broken_samples() -> list[dict[str, Any]]:
    """The samples on the lab, one record of which somebody replaced by mistake."""
    with tempfile.TemporaryDirectory(prefix="postroom-pictures-") as scratch:
        state = Path(scratch)
        async with Lab(state, address="127.0.0.1") as lab:
            (state / "lab-ca.yaml").write_text(lab.ca_manifest(("mail",)))
            found = manifests.load([demo_story.SAMPLES, state / "lab-ca.yaml"], "default")
            world = world_of(found, settings_for(lab))
            await demo_story.break_record(demo_story.Narrator(), lab)
            await world.check(AT_ONCE)
            objects = objects_of(world)
            await world.outbound.close()
    told: list[dict[str, Any]] = json.loads(
        _TIME.sub(_WHEN.strftime("%Y-%m-%dT%H:%M:%SZ"), json.dumps(objects))
    )
    return told


def terminal(objects: list[dict[str, Any]]) -> str:
    """What `postroom check` prints of the domains, as a page that looks like a terminal."""
    console = Console(
        record=True,
        file=io.StringIO(),
        width=_COLUMNS,
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(COMMAND, style="bold", highlight=False)
    table.show(console, [each for each in objects if each["kind"] == Kind.SENDING_DOMAIN])
    return console.export_html(theme=MONOKAI, code_format=_FRAME)


async def tickets(chromium: Browser) -> None:
    """The page of examples/tickets once it has taken some messages."""
    with tempfile.TemporaryDirectory(prefix="postroom-pictures-") as scratch:
        place = Path(scratch)
        demo_inbound.signing_key(place)
        key = signing.parse_key((place / "keys" / "current").read_text())
        async with demo_inbound.running_receiver(place) as application:
            sinks = Sinks(lambda: datetime.now(UTC))
            where = Destination("127.0.0.1", application.port, "tickets.mail.svc", "/mail")
            sink = sinks.sink(where, [key], Format.RAW)
            for uid, (sender, subject, size) in enumerate(MESSAGES, 4711):
                mail = demo_inbound.written(sender, subject, f"{uid}@example.net")
                if subject.startswith("Re: "):
                    mail["References"] = f"<{uid - 1}@example.net>"
                if size:
                    mail.add_attachment(bytes(size), "image", "jpeg", filename="printer.jpg")
                told = attributes(
                    Place("mail", "support", "INBOX", 7, uid, "5d41402abc4b2a76", 1),
                    read_header(mail.as_bytes()),
                    _WHEN + timedelta(minutes=uid - 4711),
                    size,
                )
                async with Spool(2**20).message("mail", 2**20) as spooled:
                    await spooled.add(mail.as_bytes())
                    await sink.send(told, spooled)
            await sinks.close()
            chromium.look(wide=960)
            chromium.open(f"http://127.0.0.1:{application.page}/")
            high = int(chromium.run("return document.body.offsetHeight")) + 60
            (PICTURES / "tickets.png").write_bytes(chromium.picture(high))


def take(chromium: Browser, text: str, name: str, *, wide: int, high: int | None = None) -> None:
    """Show a page, and keep what of it is seen."""
    with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8") as shown:
        shown.write(text)
        shown.flush()
        chromium.look(wide=wide)
        chromium.open(Path(shown.name).as_uri())
        PICTURES.mkdir(exist_ok=True)
        shown_of_it = high or int(chromium.run("return document.body.offsetHeight"))
        (PICTURES / name).write_bytes(chromium.picture(shown_of_it))


def main() -> None:
    """Make all pictures anew."""
    objects = asyncio.run(broken_samples())
    made = reading.report_of(objects, ReportSource.FILES, _WHEN)
    with browser() as chromium:
        take(chromium, page.render(made), "report.png", wide=960, high=1160)
        take(chromium, terminal(objects), "terminal.png", wide=1050)
        asyncio.run(tickets(chromium))


if __name__ == "__main__":
    main()
