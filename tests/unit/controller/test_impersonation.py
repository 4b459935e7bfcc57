# SPDX-License-Identifier: Apache-2.0
"""Whom a kubeconfig's user asks as is said with each request, and with each watch."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from postroom.controller.client import Cluster
from postroom.controller.impersonation import faults_of, headers_of
from postroom.controller.kubeconfig import connection

JANE = {
    "as": "jane@example.com",
    "as-uid": "06f6ce97",
    "as-groups": ["system:authenticated", "mail"],
    "as-user-extra": {"example.com/Scopes": ["view", "edit"], "a b%": ["\u00e9"]},
}
SAID = [
    ("Impersonate-User", "jane@example.com"),
    ("Impersonate-Uid", "06f6ce97"),
    ("Impersonate-Group", "system:authenticated"),
    ("Impersonate-Group", "mail"),
    # as client-go escapes the name, and the API server reads it
    ("Impersonate-Extra-example.com%2Fscopes", "view"),
    ("Impersonate-Extra-example.com%2Fscopes", "edit"),
    ("Impersonate-Extra-a%20b%25", "\u00e9"),
]


def test_all_of_it_is_said() -> None:
    assert list(headers_of(JANE)) == SAID
    assert list(faults_of(JANE)) == []
    assert headers_of({"token": "t"}) == ()


@pytest.mark.parametrize("field", ["as-uid", "as-groups", "as-user-extra"])
def test_nothing_is_said_of_nobody(field: str) -> None:
    alone: dict[str, Any] = {field: JANE[field]}
    assert list(faults_of(alone)) == [f"{field} is nobody's without as: name the user in as"]


async def test_requests_and_watches_say_so(tmp_path: Path) -> None:
    seen: list[list[tuple[str, str]]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append([each for each in request.headers.items() if each[0].startswith("Imp")])
        return web.json_response({})

    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    path = tmp_path / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {"token": "t", **JANE}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            },
            sort_keys=False,
        )
    )
    cluster = Cluster(await connection(path))
    try:
        async with asyncio.timeout(30):
            await cluster.served_kinds()
            async with cluster.watch_session() as session:
                await session.get(f"{url}/api/v1/namespaces")
    finally:
        await cluster.close()
        await runner.cleanup()
    assert seen == [SAID, SAID]
