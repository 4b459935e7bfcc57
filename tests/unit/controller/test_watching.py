# SPDX-License-Identifier: Apache-2.0
"""The session of the watch: metadata of Secrets only, lists that are lists, nothing once closed."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from unit.controller.test_client import cluster_at


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/api/v1/secrets", "as=PartialObjectMetadataList"),
        ("/api/v1/secrets?watch=true", "as=PartialObjectMetadata;"),
        ("/api/v1/namespaces/mail/configmaps", "as=PartialObjectMetadataList"),
    ],
)
async def test_the_watch_session_never_asks_for_the_content_of_secrets(
    path: str, accept: str, tmp_path: Path
) -> None:
    seen: list[web.BaseRequest] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return web.json_response({})

    async with cluster_at(handler, tmp_path) as cluster, cluster.watch_session() as session:
        await session.get(f"{cluster.server}{path}")
    assert accept in seen[0].headers["Accept"]
    assert seen[0].headers["Authorization"].lower() == "bearer a-token"


async def test_an_empty_list_of_metadata_is_a_list(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"items": None})

    async with cluster_at(handler, tmp_path) as cluster, cluster.watch_session() as session:
        answer = await session.get(f"{cluster.server}/api/v1/secrets")
        assert await answer.json() == {"items": []}


async def test_a_session_that_was_closed_says_so_as_its_user_expects(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({})

    async with cluster_at(handler, tmp_path) as cluster:
        session = cluster.watch_session()
        await session.close()
        with pytest.raises(RuntimeError, match="Session is closed"):
            await session.get(f"{cluster.server}/version")
