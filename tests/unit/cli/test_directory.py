# SPDX-License-Identifier: Apache-2.0
"""What a directory of manifests and a cluster read of one Secret is the same; a check shows the
Secrets of bindings that an operator would write."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from postroom.api.conditions import ConditionType, find, is_true
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Kind
from postroom.cli import manifests
from postroom.cli.account_details import account_lines
from postroom.cli.directory import DirectoryWorld
from postroom.controller.cache import Cache
from postroom.controller.world import ClusterWorld
from postroom.dns.ownership import OwnershipRules
from postroom.reconcile.world import MailProbes, Outbound, SecretContent
from unit.reconcile.mail_worlds import AT_ONCE, Probes

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


def mail_objects(names: tuple[str, ...], **spec: Any) -> list[dict[str, Any]]:
    """A Secret, a server, and accounts that send through it."""
    api, meta = "postroom.dev/v1alpha1", {"namespace": "mail"}
    found: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "login", **meta},
            "stringData": {"username": "me", "password": "canary"},
        },
        {
            "apiVersion": api,
            "kind": "MailServer",
            "metadata": {"name": "relay", **meta},
            "spec": {"host": "smtp.example.com", "default": True},
        },
    ]
    login = {"credentialsRef": {"name": "login"}}
    return found + [
        {
            "apiVersion": api,
            "kind": "EmailAccount",
            "metadata": {"name": name, **meta},
            "spec": {"address": f"{name}@example.com", **login, **spec},
        }
        for name in names
    ]


async def checked(folder: Path, objects: list[dict[str, Any]]) -> dict[str, EmailAccountStatus]:
    """The statuses of the accounts among objects whose servers are well."""
    (folder / "all.yaml").write_text(yaml.safe_dump_all(objects))
    found = manifests.load([folder], "mail")
    probes = cast("MailProbes", Probes())
    world = DirectoryWorld(found, Outbound(NOTHING, probes, NOTHING), OwnershipRules())
    await world.check(AT_ONCE)
    return {
        key.name: cast("EmailAccountStatus", status)
        for key, status in world.statuses()
        if key.kind is Kind.EMAIL_ACCOUNT
    }


async def test_a_check_shows_what_would_be_projected_and_no_value(tmp_path: Path) -> None:
    asked = {"binding": {"secretName": "mail"}}
    status = (await checked(tmp_path, mail_objects(("support",), **asked)))["support"]
    assert is_true(status.conditions, ConditionType.READY)
    lines = [line.text for line in account_lines(status)]
    assert "  Binding: Secret mail" in lines
    assert any("password" in line for line in lines)
    assert "canary" not in str(lines) + str(status)


async def test_a_check_knows_what_a_name_is_taken_by(tmp_path: Path) -> None:
    asked = {"binding": {"secretName": "login"}}
    status = (await checked(tmp_path, mail_objects(("support",), **asked)))["support"]
    ready = find(status.conditions, ConditionType.READY)
    assert ready is not None
    assert ready.reason == "SecretConflict"


async def test_a_check_names_one_default(tmp_path: Path) -> None:
    asked = {"default": True, "binding": {"default": True}}
    found = await checked(tmp_path, mail_objects(("a", "b"), **asked))
    names = [status.binding.default_name for status in found.values() if status.binding]
    assert names == ["default-mail"]


@pytest.mark.parametrize(
    ("names", "reason"), [("team-a", "Succeeded"), ("b", "MailServerNotPermitted")]
)
async def test_a_check_follows_references_to_other_namespaces(
    tmp_path: Path, names: str, reason: str
) -> None:
    (tmp_path / "objects.yaml").write_text(f"""
apiVersion: postroom.dev/v1alpha1
kind: MailServer
metadata: {{name: relay, namespace: platform}}
spec:
  host: smtp.example.com
  allowedNamespaces: {{from: Names, names: [{names}]}}
---
apiVersion: postroom.dev/v1alpha1
kind: EmailAccount
metadata: {{name: tickets, namespace: team-a}}
spec:
  address: tickets@example.com
  serverRef: {{name: relay, namespace: platform}}
  credentialsRef: {{name: login}}
---
apiVersion: v1
kind: Secret
metadata:
  name: login
  namespace: team-a
  annotations: {{postroom.dev/allowed-hosts: smtp.example.com}}
stringData: {{username: tickets@example.com, password: p}}
""")
    found = manifests.load([tmp_path], "default")
    assert found.complaints == []
    world = DirectoryWorld(found, Outbound(NOTHING, Probes(), NOTHING), OwnershipRules())
    assert await world.check(AT_ONCE) is (reason == "Succeeded")
    ready = {
        key.name: find(status.conditions, ConditionType.READY) for key, status in world.statuses()
    }
    assert ready["tickets"] is not None and ready["tickets"].reason == reason


KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, "SECRET_NOT_FOUND"),
        ({"previous": KEY}, "SECRET_KEY_MISSING"),
        ({"current": "short"}, "SIGNING_KEY_INVALID"),
        ({"current": KEY}, None),
    ],
)
async def test_a_check_looks_at_what_incoming_mail_is_to_be_signed_with(
    tmp_path: Path, data: dict[str, str] | None, code: str | None
) -> None:
    deliver = {"service": {"name": "tickets", "port": 80}, "signingKeyRef": {"name": "hook"}}
    spec = {"imap": {"host": "imap.example.com"}, "inbound": {"deliver": deliver}}
    objects = mail_objects(("support",), **spec)
    if data is not None:
        objects.append({**objects[0], "metadata": {**objects[0]["metadata"], "name": "hook"}})
        objects[-1]["stringData"] = data
    status = (await checked(tmp_path, objects))["support"]
    # It gates nothing, as in a cluster, and nothing is handed over from here.
    assert is_true(status.conditions, ConditionType.READY)
    assert find(status.conditions, ConditionType.INBOUND_DELIVERING) is None
    told = [each.code for each in status.findings if each.subject == "inbound.deliver"]
    assert told == ([code] if code else [])
    assert KEY not in str(status)
