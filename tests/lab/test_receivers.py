# SPDX-License-Identifier: Apache-2.0
"""The receivers of docs/incoming-mail.md as they stand there, and what postroom posts to them.

Covers: the one in Python (Raw), the one in Node (CloudEvent, with npm's library of Standard
Webhooks), and the script that posts without postroom. Each keeps a message byte for byte, once, by
either key, and takes nothing that is signed by another.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lab import node, sink_world
from postroom.delivery.events import Format
from postroom.lab.operator_process import free_port
from unit.docs.reading import ROOT, blocks

PAGE = ROOT / "docs" / "incoming-mail.md"
KEY, OTHER_KEY = sink_world.KEY, sink_world.OTHER_KEY
#: Octets that are no text in any encoding that is usual today.
MESSAGE = sink_world.MESSAGE + "Grüße\r\n".encode("latin-1") + bytes(range(256))


def block_of(first: str) -> str:
    """The block of the page that begins with a line."""
    found = [
        block.text for block in blocks(PAGE.read_text("utf-8")) if block.text.startswith(first)
    ]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a receiver runs: its keys, and where it keeps what it got."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "current").write_text(f"{KEY}\n")
    return tmp_path


def python_receiver(place: Path) -> list[str]:
    (place / "receiver.py").write_text(block_of("# receiver.py"))
    return [sys.executable, "receiver.py"]


def node_receiver(place: Path) -> list[str]:
    (place / "receiver.mjs").write_text(block_of("// receiver.mjs"))
    (place / "node_modules").symlink_to(node.modules(node.STANDARD_WEBHOOKS))
    return [node.node(), "receiver.mjs"]


@asynccontextmanager
async def running(command: list[str], place: Path) -> AsyncIterator[int]:
    """Run a receiver; yields its port once it listens."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=place,
        env={**os.environ, "PORT": str(port)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(120):
            while True:
                assert process.returncode is None, "the receiver has ended"
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield port
    finally:
        process.terminate()
        await process.wait()


def kept(place: Path) -> Mapping[str, bytes]:
    """What a receiver has."""
    return {path.name: path.read_bytes() for path in (place / "inbox").iterdir()}


@pytest.mark.parametrize(
    ("receiver", "written_as"),
    [(python_receiver, Format.RAW), (node_receiver, Format.CLOUD_EVENT)],
    ids=["python", "node"],
)
async def test_a_receiver_of_the_page_keeps_what_is_signed_once_and_nothing_else(
    receiver: Callable[[Path], list[str]], written_as: Format, place: Path
) -> None:
    told = sink_world.told(MESSAGE)
    name = f"{told['id']}.eml"
    async with running(receiver(place), place) as port:
        async with sink_world.sink(port, keys=(OTHER_KEY,), written_as=written_as) as other:
            assert (await sink_world.send(other, MESSAGE)).status == 401
            assert kept(place) == {}
        async with sink_world.sink(port, written_as=written_as) as sink:
            for _ in range(2):
                assert (await sink_world.send(sink, MESSAGE)).status == 204
            assert kept(place) == {name: MESSAGE}
            # The key is exchanged: first both sign, and the receiver knows both.
        (place / "keys" / "previous").write_text(KEY)
        (place / "keys" / "current").write_text(OTHER_KEY)
        for keys in ((KEY,), (OTHER_KEY, KEY), (OTHER_KEY,)):
            async with sink_world.sink(port, keys=keys, written_as=written_as) as sink:
                assert (await sink_world.send(sink, MESSAGE)).status == 204
        (place / "keys" / "previous").unlink()
        async with sink_world.sink(port, keys=(KEY,), written_as=written_as) as sink:
            assert (await sink_world.send(sink, MESSAGE)).status == 401
        large = sink_world.told(MESSAGE, oversized=True)
        async with sink_world.sink(port, keys=(OTHER_KEY,), written_as=written_as) as sink:
            assert (await sink_world.send(sink, None, large)).status == 204
        assert len(kept(place)) == 2
        (note,) = (text for key, text in kept(place).items() if key != name)
        assert large["messageid"].encode() in note or b"1%40example.com" in note


@pytest.mark.parametrize(
    ("receiver", "written_as"),
    [(python_receiver, ()), (node_receiver, ("CloudEvent",))],
    ids=["python", "node"],
)
async def test_the_script_of_the_page_posts_as_postroom_does(
    receiver: Callable[[Path], list[str]], written_as: tuple[str, ...], place: Path
) -> None:
    async with running(receiver(place), place) as port:
        for _ in range(2):
            await post_by_script(place, port, MESSAGE, *written_as, ID="1")
    assert kept(place) == {"1.eml": MESSAGE}


async def post_by_script(
    place: Path, port: int, message: bytes, *written_as: str, **variables: str
) -> None:
    """Post a message by the script of the page."""
    missing = [name for name in ("curl", "openssl", "od", "base64") if not shutil.which(name)]
    if missing:
        pytest.skip(f"{missing[0]} is not here")
    (place / "post.sh").write_text(block_of("# post.sh"))
    (place / "message.eml").write_bytes(message)
    process = await asyncio.create_subprocess_exec(
        *("sh", "post.sh", "message.eml", f"http://127.0.0.1:{port}/mail", *written_as),
        cwd=place,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert (await process.communicate())[0] == b"204\n"
    assert process.returncode == 0


@pytest.mark.parametrize("written_as", Format)
@pytest.mark.parametrize("oversized", [False, True], ids=["whole", "oversized"])
async def test_the_script_tells_what_postroom_tells(
    written_as: Format, oversized: bool, place: Path
) -> None:
    message = b"From: ann@example.net\r\n\r\nHello.\r\n"
    application = sink_world.Application()
    async with sink_world.serving(application) as port:
        async with sink_world.sink(port, written_as=written_as) as sink:
            what = sink_world.told(message, oversized=oversized)
            assert (await sink_world.send(sink, None if oversized else message, what)).status == 204
        form = ("CloudEvent",) if written_as is Format.CLOUD_EVENT else ()
        kind = {"EVENT": "oversized"} if oversized else {}
        await post_by_script(place, port, message, *form, **kind)
    ours, the_scripts = application.hits
    assert sorted(the_scripts.names) == sorted([*ours.names, "accept"])
    its_own = {"ce-id", "ce-source", "ce-time", "id", "source", "time"}
    compared = [
        {name: value for name, value in told.items() if name not in its_own}
        for hit in (ours, the_scripts)
        for told in (
            {n: v for n, v in hit.headers.items() if n[:3] in ("ce-", "con")},
            told_in(hit),
        )
    ]
    if written_as is Format.CLOUD_EVENT:
        for headers in compared[::2]:
            del headers["content-length"]
    assert compared[:2] == compared[2:]


def told_in(hit: sink_world.Hit) -> dict[str, object]:
    """The document of a request, or its body."""
    try:
        return dict(json.loads(hit.body))
    except ValueError:
        return {"body": hit.body}
