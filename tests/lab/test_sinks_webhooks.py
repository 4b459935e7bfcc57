# SPDX-License-Identifier: Apache-2.0
"""The official library of Standard Webhooks in another language, and what it cannot read."""

from __future__ import annotations

import asyncio
import json
import subprocess
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab import node
from lab.sink_world import KEY, MESSAGE, OTHER_KEY, Application, send, serving, sink
from postroom.delivery.events import Format

#: Reads cases as JSON, answers each with what the library says.
PROGRAM = """
const { Webhook } = require("standardwebhooks");
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const said = cases.map(({ key, headers, body }) => {
  try {
    new Webhook(key).verify(Buffer.from(body, "base64"), headers, { jsonParse: false });
    return "verified";
  } catch (error) {
    return error.message;
  }
});
console.log(JSON.stringify(said));
"""


async def case(message: bytes, key: str, *keys: str, off: int = 0, **options: Any) -> Any:
    """A request as an application got it, to be verified with a key."""
    application = Application()
    moment = datetime.now(UTC) + timedelta(seconds=off)
    async with (
        serving(application) as port,
        sink(port, keys=keys or (KEY,), now=lambda: moment, **options) as to,
    ):
        await send(to, message)
    (hit,) = application.hits
    return {"key": key, "headers": hit.headers, "body": _base64(hit.body)}


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode()


async def test_the_library_of_npm_verifies_what_is_handed_over(tmp_path: Path) -> None:
    program = node.node()
    (tmp_path / "node_modules").symlink_to(node.modules(node.STANDARD_WEBHOOKS))
    (tmp_path / "verify.cjs").write_text(PROGRAM)
    octets = bytes(range(256))
    verified = {
        "a message": await case(MESSAGE, KEY),
        "UTF-8": await case("Subject: Grüße\r\n\r\n\x00".encode(), KEY),
        "the new key": await case(MESSAGE, KEY, KEY, OTHER_KEY),
        "the old key": await case(MESSAGE, OTHER_KEY, KEY, OTHER_KEY),
        "any octets, in a document": await case(octets, KEY, written_as=Format.CLOUD_EVENT),
        "1 MB, in a document": await case(octets * 4096, KEY, written_as=Format.CLOUD_EVENT),
        "four minutes ago": await case(MESSAGE, KEY, off=-240),
    }
    changed = await case(MESSAGE, KEY)
    refused = {
        "a key that has gone": (await case(MESSAGE, OTHER_KEY), "No matching signature found"),
        "six minutes ago": (await case(MESSAGE, KEY, off=-360), "Message timestamp too old"),
        "in six minutes": (await case(MESSAGE, KEY, off=360), "Message timestamp too new"),
        "another body": ({**changed, "body": _base64(b"x")}, "No matching signature found"),
        # What docs/incoming-mail.md warns of: the library takes every body for UTF-8.
        "octets that are no UTF-8": (await case(octets, KEY), "No matching signature found"),
    }
    cases = [*verified.values(), *(refused_case for refused_case, _ in refused.values())]
    run = await asyncio.to_thread(
        subprocess.run,
        [program, "verify.cjs"],
        cwd=tmp_path,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    said = dict(zip([*verified, *refused], json.loads(run.stdout), strict=True))
    assert said == dict.fromkeys(verified, "verified") | {
        name: complaint for name, (_, complaint) in refused.items()
    }
