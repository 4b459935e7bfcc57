# SPDX-License-Identifier: Apache-2.0
"""docs/keys.md as its reader follows it: its commands at a cluster that keeps Secrets as Kubernetes
does, in base64, and an operator with the key that is there then."""

import os
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.names import Key
from postroom.dns.ownership import OwnershipRules
from unit.docs.reading import ROOT, blocks
from unit.reconcile.tenants import Tenants, verdict

DOMAIN = "mail.example"
KEY = b"3f9a+/the key of the first day=="
ANOTHER = b"another key, made after the loss"
READY, OWNED = ConditionType.READY, ConditionType.OWNERSHIP_VERIFIED
PAGE = (ROOT / "docs/keys.md").read_text("utf-8")

KUBECTL = """#!/bin/sh
case "$*" in
"get secret "*jsonpath={.data.key}) base64 -w 0 <"$CLUSTER/key" ;;
"create secret "*)
  for word; do
    value=${word#--from-literal=key=}
    [ "$value" = "$word" ] || printf %s "$value" >"$CLUSTER/key"
  done ;;
"create namespace "*) ;;
*) exit 1 ;;
esac
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """Where the entry of the Secret is a file, and beside it kubectl."""
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    (tmp_path / "key").write_bytes(KEY)
    return tmp_path


def typed(cluster: Path, having: str, **variables: str) -> str:
    """What the block of the page that has a text prints when its commands are typed."""
    (block,) = (each.text for each in blocks(PAGE) if having in each.text)
    script = "\n".join(line.removeprefix("$ ") for line in block.splitlines())
    environment = {"CLUSTER": str(cluster), "PATH": f"{cluster}:{os.environ['PATH']}", **variables}
    made = subprocess.run(
        ["sh", "-euc", script], env=environment, capture_output=True, text=True, check=True
    )
    return made.stdout


def verified(key: bytes) -> tuple[Tenants, Key, datetime | None]:
    tenants = Tenants(OwnershipRules((key,)))
    domain = tenants.add("a", domain=DOMAIN)
    tenants.prove("a", DOMAIN, key)
    status = tenants.look(domain)
    assert verdict(status, READY) == ("True", "Succeeded")
    return tenants, domain, status.verified_at


def with_keys(tenants: Tenants, *keys: bytes) -> None:
    """Start the operator anew with other keys."""
    tenants.rules = OwnershipRules(keys)
    tenants.restart()


def token(tenants: Tenants, domain: Key) -> str:
    """The token that status lists, to be published."""
    return next(
        record.value for record in tenants.status(domain).records if record.id == "ownership"
    )


@pytest.mark.parametrize("status_kept", [True, False], ids=["with status", "without status"])
def test_a_key_restored_from_the_copy_makes_the_same_tokens(
    cluster: Path, status_kept: bool
) -> None:
    tenants, domain, since = verified(KEY)
    before = token(tenants, domain)
    copy = typed(cluster, "jsonpath")
    (cluster / "key").unlink()
    typed(cluster, "from-literal", KEY=copy)
    if not status_kept:
        tenants.objects[domain]["status"] = None
    with_keys(tenants, (cluster / "key").read_bytes())
    status = tenants.look(domain)
    assert verdict(status, READY) == ("True", "Succeeded")
    assert token(tenants, domain) == before
    assert status.verification == "Verified"
    assert (status.verified_at == since) == status_kept


def test_a_lost_key_asks_for_new_records_and_only_where_they_are_derived() -> None:
    tenants, domain, _ = verified(KEY)
    before = token(tenants, domain)
    tenants.publish("provider.example", "provider-verify=1")
    given = {"value": "provider-verify=1"}
    other = tenants.add("a", "other", domain="provider.example", ownership=given)
    assert verdict(tenants.look(other), READY) == ("True", "Succeeded")
    with_keys(tenants, ANOTHER)
    status = tenants.look(domain)
    assert verdict(status, OWNED) == ("False", "RecordMismatch")
    assert verdict(status, READY) == ("False", "RecordMismatch")
    assert verdict(tenants.look(other), READY) == ("True", "Succeeded")
    assert token(tenants, domain) != before
    tenants.publish(f"_postroom-challenge.{DOMAIN}", token(tenants, domain))
    assert verdict(tenants.look(domain), READY) == ("True", "Succeeded")


def test_a_known_key_is_changed_without_an_interruption() -> None:
    tenants, domain, since = verified(KEY)
    with_keys(tenants, ANOTHER, KEY)
    status = tenants.look(domain)
    assert verdict(status, READY) == ("True", "Succeeded")
    assert [finding.code for finding in status.findings] == ["OWNERSHIP_TOKEN_EARLIER"]
    tenants.publish(f"_postroom-challenge.{DOMAIN}", token(tenants, domain))
    assert tenants.look(domain).findings == []
    with_keys(tenants, ANOTHER)
    status = tenants.look(domain)
    assert (status.verification, status.verified_at) == ("Verified", since)
