# SPDX-License-Identifier: Apache-2.0
"""The schemas on the real API server.

Covers: acceptance without structural complaints, defaults as users see them, ``kubectl explain``,
and a table of bad objects, each with the words that the user must read.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from postroom.api.names import API_VERSION, Kind
from postroom.api.resource import parse_spec
from postroom.api.status import DEFAULT_STATUS
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT

GOOD: dict[Kind, dict[str, Any]] = {
    Kind.SENDING_DOMAIN: {"domain": "send.example.com"},
    Kind.MAIL_SERVER: {"host": "smtp.example.com"},
    Kind.EMAIL_ACCOUNT: {"address": "support@example.com"},
}
FULL: dict[Kind, dict[str, Any]] = {
    Kind.SENDING_DOMAIN: {
        "domain": "send.example.com",
        "ownership": {"name": "_challenge.send.example.com", "value": "token=1"},
        "spf": {"includes": ["mailgun.org"], "ip4": ["192.0.2.0/24"], "all": "Fail"},
        "dkim": [{"selector": "k1", "cname": "k1.domainkey.mailgun.org"}],
        "dmarc": {"policy": "reject", "rua": ["mailto:dmarc@example.com"]},
        "mx": [{"host": "mxa.mailgun.org"}],
        "require": ["Ownership", "DKIM"],
        "interval": "1h30m",
        "propagationDeadline": "0s",
        "suspend": True,
    },
    Kind.MAIL_SERVER: {
        "host": "smtp.example.com",
        "port": 465,
        "tls": {"mode": "Implicit", "caBundleRef": {"name": "ca"}, "serverName": "x.example.com"},
        "credentialsRef": {"name": "smtp"},
        "default": True,
    },
    Kind.EMAIL_ACCOUNT: {
        "address": "support@send.example.com",
        "serverRef": {"name": "smtp"},
        "credentialsRef": {"name": "mailbox"},
        "imap": {
            "host": "imap.example.com",
            "tls": {"caBundleRef": {"kind": "Secret", "name": "c"}},
        },
        "fallbackSender": "noreply@example.net",
        "sync": {"interval": "10m"},
    },
}
KEY = {"selector": "k1", "cname": "k1.example.net"}
SD, MS, EA = Kind.SENDING_DOMAIN, Kind.MAIL_SERVER, Kind.EMAIL_ACCOUNT
#: (kind, change of the good spec, words of the answer)
BAD: list[tuple[Kind, dict[str, Any], str]] = [
    (SD, {"domian": "x"}, 'unknown field "spec.domian"'),
    (SD, {"domain": None}, "spec.domain: Required value"),
    (SD, {"domain": 7}, 'must be of type string: "integer"'),
    (SD, {"domain": "Send.example.com"}, "spec.domain in body should match"),
    (SD, {"domain": "send.example.com."}, "spec.domain in body should match"),
    (SD, {"domain": "example"}, "spec.domain in body should match"),
    (SD, {"domain": "a." * 130 + "com"}, "may not be more than 253"),
    (SD, {"interval": "5 minutes"}, "spec.interval in body should match"),
    (SD, {"interval": "10s"}, "must be a duration from 1m to 24h"),
    (SD, {"interval": "25h"}, "must be a duration from 1m to 24h"),
    (SD, {"propagationDeadline": "1s"}, "must be a duration from 1m to 720h, or 0s"),
    (SD, {"spf": {}}, "must name at least one of includes, ip4 or ip6"),
    (SD, {"spf": {"includes": ["x.y"], "all": "Pass"}}, 'supported values: "Fail", "SoftFail"'),
    (SD, {"dkim": [{"selector": "k1"}]}, "must have exactly one of cname, publicKey and"),
    (SD, {"dkim": [{**KEY, "publicKey": "A" * 60}]}, "must have exactly one of cname, publicKey"),
    (SD, {"dkim": [KEY, KEY]}, "spec.dkim[1]: Duplicate value"),
    (SD, {"dkim": [{"selector": f"k{n}", "cname": "k.example"} for n in range(11)]}, "at most 10"),
    (SD, {"dmarc": {"policy": "strict"}}, 'supported values: "none", "quarantine", "reject"'),
    (SD, {"dmarc": {"rua": ["dmarc@example.com"]}}, "spec.dmarc.rua[0] in body should match"),
    (SD, {"require": ["MX"]}, "must name only what the spec declares"),
    (SD, {"require": ["Ownership", "Ownership"]}, "spec.require[1]: Duplicate value"),
    (SD, {"suspend": "yes"}, 'must be of type boolean: "string"'),
    (MS, {"host": "192.0.2.1"}, "must be a DNS name, not an IP address"),
    (MS, {"host": "smtp.example.com:587"}, "spec.host in body should match"),
    (MS, {"port": 0}, "should be greater than or equal to 1"),
    (MS, {"port": 70000}, "should be less than or equal to 65535"),
    (MS, {"tls": {"mode": "starttls"}}, 'supported values: "StartTLS", "Implicit", "None"'),
    (MS, {"tls": {"insecureSkipVerify": True}}, 'unknown field "spec.tls.insecureSkipVerify"'),
    (MS, {"credentialsRef": {"name": "x"}, "tls": {"mode": "None"}}, "only sent over TLS"),
    (MS, {"credentialsRef": {"name": "x", "namespace": "y"}}, "credentialsRef.namespace"),
    (MS, {"tls": {"caBundleRef": {"kind": "Pod", "name": "x"}}}, 'supported values: "ConfigMap"'),
    (EA, {"address": "support"}, "spec.address in body should match"),
    (EA, {"address": "a@b@example.com"}, "spec.address in body should match"),
    (EA, {"imap": {"host": "imap.example.com"}}, "IMAP needs credentials"),
    (EA, {"imap": {"host": "imap.example.com", "mailbox": "a\nb"}}, "mailbox in body should match"),
    (EA, {"serverRef": {}}, "spec.serverRef.name: Required value"),
    (EA, {"fallbackSender": "nobody"}, "spec.fallbackSender in body should match"),
    (EA, {"sync": {"interval": "0s"}}, "must be a duration from 1m to 24h"),
]


@pytest.fixture(scope="module", autouse=True)
def definitions(plane: ControlPlane) -> None:
    plane.kubectl("apply", "--server-side", "-k", str(ROOT / "crds"))
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


def manifest(kind: Kind, spec: Mapping[str, Any], name: str = "one") -> str:
    return json.dumps(
        {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
    )


def changed(kind: Kind, change: Mapping[str, Any]) -> dict[str, Any]:
    spec = {**copy.deepcopy(GOOD[kind]), **change}
    return {key: value for key, value in spec.items() if value is not None}


def test_definitions_are_structural(plane: ControlPlane) -> None:
    listed = plane.kubectl("get", "crd", "-l", "app.kubernetes.io/part-of=postroom", "-o", "yaml")
    found = yaml.safe_load(listed.stdout)["items"]
    assert len(found) == len(Kind)
    for one in found:
        types = {
            condition["type"]: condition["status"] for condition in one["status"]["conditions"]
        }
        assert types == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("specs", [GOOD, FULL])
def test_good_objects_survive_whole(
    plane: ControlPlane, namespace: str, kind: Kind, specs: dict[Kind, dict[str, Any]]
) -> None:
    created = plane.kubectl(
        *("create", "--validate=strict", "-n", namespace, "-o", "json", "-f", "-"),
        input=manifest(kind, specs[kind]),
    )
    stored = json.loads(created.stdout)
    assert parse_spec(kind, stored["spec"]) == parse_spec(kind, specs[kind])
    assert stored["status"].items() >= {"observedGeneration": -1}.items()
    assert stored["status"]["conditions"] == DEFAULT_STATUS["conditions"]


@pytest.mark.parametrize(("kind", "change", "words"), BAD)
def test_bad_objects_are_refused_with_a_clear_word(
    plane: ControlPlane, namespace: str, kind: Kind, change: dict[str, Any], words: str
) -> None:
    answer = plane.kubectl(
        *("create", "--validate=strict", "-n", namespace, "-f", "-"),
        input=manifest(kind, changed(kind, change)),
        check=False,
    )
    assert answer.returncode != 0
    assert words in answer.stderr


@pytest.mark.parametrize(
    ("kind", "change"),
    [(SD, {"domain": "other.example.com"}), (EA, {"address": "other@example.com"})],
)
def test_identity_is_immutable(
    plane: ControlPlane, namespace: str, kind: Kind, change: dict[str, Any]
) -> None:
    plane.kubectl("create", "-n", namespace, "-f", "-", input=manifest(kind, GOOD[kind]))
    answer = plane.kubectl(
        "apply",
        "-n",
        namespace,
        "-f",
        "-",
        input=manifest(kind, changed(kind, change)),
        check=False,
    )
    assert "may not be changed: create a new" in answer.stderr


def test_explain_reads_well(plane: ControlPlane) -> None:
    shown = plane.kubectl("explain", "sendingdomain.spec.dkim.cname").stdout
    assert "Target of the CNAME that the provider asks for." in shown


def test_unseen_objects_wait(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("create", "-n", namespace, "-f", "-", input=manifest(SD, GOOD[SD]))
    command = ("wait", "--for=condition=Ready", "sdom/one", "-n", namespace, "--timeout=1s")
    assert plane.kubectl(*command, check=False).returncode != 0
    shown = plane.kubectl("get", "postroom", "-n", namespace).stdout
    assert "Pending" in shown
