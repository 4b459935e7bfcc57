# SPDX-License-Identifier: Apache-2.0
"""What a directory of manifests and a cluster read of one Secret is the same."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from postroom.cli import manifests
from postroom.cli.directory import DirectoryWorld
from postroom.controller.cache import Cache
from postroom.controller.world import ClusterWorld
from postroom.dns.ownership import OwnershipRules
from postroom.reconcile.world import Outbound, SecretContent

NOTHING: Any = None
OUTBOUND = Outbound(NOTHING, NOTHING, NOTHING)


class Sources:
    """Answers with one Secret."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return self._raw

    async def config_map(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return None


async def both(raw: dict[str, Any], folder: Path) -> tuple[SecretContent, SecretContent]:
    (folder / "secret.yaml").write_text(yaml.safe_dump(raw))
    found = manifests.load([folder], "mail")
    directory = await DirectoryWorld(found, OUTBOUND, OwnershipRules()).secret("mail", "login")
    cluster = ClusterWorld(Cache(), Sources(raw), OUTBOUND, OwnershipRules())
    stored = await cluster.secret("mail", "login")
    assert directory is not None and stored is not None
    return directory, stored


def encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


@pytest.mark.parametrize(
    ("password", "read"),
    [
        (encoded(b"right"), {"username", "password"}),
        (encoded(b""), {"username", "password"}),
        # What nobody can decode is missing, as no login can be binary.
        (encoded(b"\xff\xfe"), {"username"}),
        ("no base64!", {"username"}),
        ("cmlnaHQ", {"username"}),
    ],
)
async def test_values(password: str, read: set[str], tmp_path: Path) -> None:
    raw = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "mail"},
        "data": {"username": encoded(b"me"), "password": password},
    }
    directory, cluster = await both(raw, tmp_path)
    assert set(directory.data) == set(cluster.data) == read


@pytest.mark.parametrize(
    ("annotation", "hosts"),
    [
        (None, None),
        ("", ()),
        (" SMTP.example.com. , *.example.net,", ("smtp.example.com", "*.example.net")),
    ],
)
async def test_consents(
    annotation: str | None, hosts: tuple[str, ...] | None, tmp_path: Path
) -> None:
    annotations = {} if annotation is None else {"postroom.dev/allowed-hosts": annotation}
    raw = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "mail", "annotations": annotations},
        "data": {"username": encoded(b"me")},
    }
    directory, cluster = await both(raw, tmp_path)
    assert directory.allowed_hosts == cluster.allowed_hosts == hosts
