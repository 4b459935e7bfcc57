# SPDX-License-Identifier: Apache-2.0
"""Two namespaces claim one domain, on a real control plane and a real DNS server."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.api_client import apply, create_namespace, delete_namespace
from cluster.lab_process import LabProcess
from cluster.objects import eventually, is_ready, one, reason_of
from kstatus import compute
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

DOMAIN = Kind.SENDING_DOMAIN
NAME = "claimed.example.com"


@pytest.fixture
def other(plane: ControlPlane) -> Iterator[str]:
    """Another tenant's namespace."""
    name = f"other-{uuid.uuid4().hex[:8]}"
    create_namespace(plane, name)
    yield name
    delete_namespace(plane, name)


def declare(plane: ControlPlane, namespace: str, **spec: Any) -> None:
    made = {"apiVersion": API_VERSION, "kind": DOMAIN, "metadata": {"name": "d"}, "spec": spec}
    apply(plane, json.dumps(made), namespace)


def test_the_token_decides_and_the_winner_s_end_hands_over(
    operator: OperatorProcess,
    installed: ControlPlane,
    lab: LabProcess,
    namespace: str,
    other: str,
) -> None:
    plane = installed
    spec = {"domain": NAME, "spf": {"ip4": ["192.0.2.1"]}, "require": ["SPF"]}
    lab.put("example.com", "claimed", "TXT", '"v=spf1 ip4:192.0.2.1 -all"')
    operator.start()
    declare(plane, namespace, **spec)
    eventually(lambda: is_ready(one(plane, namespace, DOMAIN, "d")), "the first is verified")

    declare(plane, other, **spec)
    claimed = "DomainClaimed"
    eventually(lambda: reason_of(one(plane, other, DOMAIN, "d")) == claimed, "the second waits")
    refused = one(plane, other, DOMAIN, "d")
    assert refused["status"]["verification"] == "Failed"
    assert compute(refused) == "Failed"
    assert namespace not in json.dumps(refused["status"])
    assert is_ready(one(plane, namespace, DOMAIN, "d"))

    fix = next(found["fix"] for found in refused["status"]["findings"] if found.get("fix"))
    lab.put("example.com", fix["name"].removesuffix(".example.com"), fix["type"], fix["value"])
    eventually(lambda: is_ready(one(plane, other, DOMAIN, "d")), "the token decides")
    eventually(
        lambda: reason_of(one(plane, namespace, DOMAIN, "d")) == claimed, "the first gives way"
    )
    operator.stop()
    operator.start()
    plane.kubectl("delete", DOMAIN.plural, "d", "-n", other)
    eventually(lambda: is_ready(one(plane, namespace, DOMAIN, "d")), "it is handed over")


def test_a_secret_is_shown_only_where_its_owner_says_that_it_is_public(
    operator: OperatorProcess, installed: ControlPlane, namespace: str
) -> None:
    plane, canary = installed, base64.b64encode(b"thirty-two bytes of a canary key").decode()
    plane.kubectl(
        *("create", "secret", "generic", "k", "-n", namespace, f"--from-literal=pub={canary}")
    )
    operator.start()
    reference = {"name": "k", "key": "pub"}
    declare(plane, namespace, domain=NAME, dkim=[{"selector": "s1", "publicKeyRef": reference}])
    wanted = "ReferenceNotPermitted"
    eventually(lambda: reason_of(one(plane, namespace, DOMAIN, "d")) == wanted, "it is refused")
    assert canary[:8] not in json.dumps(one(plane, namespace, DOMAIN, "d")["status"])
    use = "postroom.dev/allow=dkim-public-key"
    plane.kubectl("annotate", "secret", "k", "-n", namespace, use)
    asked = "postroom.dev/requested-at=now"
    plane.kubectl("annotate", DOMAIN.plural, "d", "-n", namespace, asked)
    eventually(
        lambda: canary in json.dumps(one(plane, namespace, DOMAIN, "d")["status"]), "it is public"
    )
    assert canary not in operator.tail()
