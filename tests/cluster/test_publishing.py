# SPDX-License-Identifier: Apache-2.0
"""Publishing on a real API server, with the rights and the policy that users install, by
external-dns' own plan, registry and provider into the zones of the lab.

Covers: create, update, restart, withdrawal, and that postroom verifies what was published; foreign
records and DNSEndpoints; a namespace without the zone; the operator without the flag; what the
policy keeps the operator from; the flag for types as `postroom records` prints it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from cluster import taking_effect
from cluster.api_client import (
    administrator,
    apply,
    delete,
    merge,
    read,
    reinstall,
    service_account_kubeconfig,
)
from cluster.audit_log import forbidden, requests_of
from cluster.external_dns import ExternalDns, obtain_or_skip
from cluster.lab_process import LabProcess
from cluster.objects import eventually, is_ready, one, path_of
from kstatus import conditions_of
from postroom.api.names import API_VERSION, Kind
from postroom.dns.publishing import dns_endpoint
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT, USER, OperatorProcess

INSTALL, ZONE = ROOT / "manifests" / "install", "example.com"
KEY, OTHER_KEY = (f"k{number}.domainkey.provider.example.net" for number in (1, 2))
FLAG, CHILD = "--publish-dns-endpoints", "d-mail"
SITE = "google-site-verification=abc"


@pytest.fixture(scope="module")
def program() -> Path:
    return obtain_or_skip()


@pytest.fixture(scope="module")
def publishing(
    program: Path, installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """The kind of external-dns, and the rights of the component; all taken back in the end."""
    scratch = tmp_path_factory.mktemp("kustomize")
    here = os.path.relpath(INSTALL, scratch)
    described = {"resources": [f"{here}/cluster"], "components": [f"{here}/publishing/cluster"]}
    (scratch / "kustomization.yaml").write_text(json.dumps(described))
    unrestricted = "--load-restrictor=LoadRestrictionsNone"
    rendered = installed.kubectl("kustomize", str(scratch), unrestricted).stdout
    assert f"- {FLAG}\n" in rendered
    crd = str(program / "crd.yaml")
    installed.kubectl("apply", "--server-side", "-f", crd)
    installed.kubectl("wait", "--for=condition=Established", "-f", crd, "--timeout=120s")
    apply(installed, rendered)
    taking_effect.await_all(administrator(installed))
    yield installed
    for kind in ("clusterrolebinding", "validatingadmissionpolicybinding", "clusterrole"):
        installed.kubectl("delete", kind, "postroom-publishing", check=False)
    installed.kubectl("delete", "validatingadmissionpolicy", "postroom-publishing", check=False)
    installed.kubectl("delete", "-f", crd, check=False)
    reinstall(installed)
    taking_effect.await_all(administrator(installed))


class Site:
    """A namespace that owns a domain of its own in the lab's zone."""

    def __init__(self, plane: ControlPlane, namespace: str, lab: LabProcess) -> None:
        self.plane, self.namespace, self.lab = plane, namespace, lab
        self.domain = f"{namespace}.{ZONE}"
        self.proof = f"provider-verify={namespace}"
        mark = {"postroom.dev/publish-zones": f"*.{ZONE}"}
        merge(plane, f"/api/v1/namespaces/{namespace}", {"metadata": {"annotations": mark}})

    def apply(self, *published: str, key: str = KEY) -> None:
        publish = {"publish": {"via": "ExternalDNS", "records": list(published)}}
        spec = {
            "domain": self.domain,
            "ownership": {"value": self.proof},
            "dkim": [{"selector": "k1", "cname": key}],
            **(publish if published else {}),
        }
        made = {"apiVersion": API_VERSION, "kind": "SendingDomain", "metadata": {"name": "d"}}
        text = json.dumps({**made, "spec": spec})
        apply(self.plane, text, self.namespace)

    def ask(self, token: str) -> None:
        path = f"{path_of(self.namespace, Kind.SENDING_DOMAIN)}/d"
        merge(self.plane, path, {"metadata": {"annotations": {"postroom.dev/requested-at": token}}})

    def status(self) -> dict[str, Any]:
        return one(self.plane, self.namespace, Kind.SENDING_DOMAIN, "d")

    def says(self, status: str, reason: str) -> bool:
        said = conditions_of(self.status()).get("RecordsPublished", {})
        return (said.get("status"), said.get("reason")) == (status, reason)

    def codes(self) -> set[str]:
        return {each["code"] for each in self.status()["status"].get("findings", [])}

    def endpoints(self) -> list[dict[str, Any]]:
        where = f"/apis/{dns_endpoint.API_VERSION}/namespaces/{self.namespace}/dnsendpoints"
        found: list[dict[str, Any]] = read(self.plane, where)["items"]
        return found

    def has(self, *records: str) -> bool:
        """Whether the one DNSEndpoint has these: type and name."""
        listed = [each for found in self.endpoints() for each in found["spec"]["endpoints"]]
        return sorted(f"{each['recordType']} {each['dnsName']}" for each in listed) == [*records]


@pytest.fixture
def site(publishing: ControlPlane, namespace: str, lab: LabProcess) -> Site:
    return Site(publishing, namespace, lab)


def operator(plane: ControlPlane, lab: LabProcess, where: Path, *flags: str) -> OperatorProcess:
    kubeconfig = service_account_kubeconfig(plane, where)
    pace = "--regression-confirmation=1s"
    return OperatorProcess(kubeconfig, where, (*lab.reach.flags, pace, *flags))


def test_it_is_created_verified_changed_and_withdrawn(
    site: Site, program: Path, tmp_path: Path
) -> None:
    plane, external = site.plane, ExternalDns(program, site.lab, ZONE)
    before = datetime.now(UTC)
    proof, key = f"TXT {site.domain}", f"CNAME k1._domainkey.{site.domain}"
    site.apply("Ownership", "DKIM")
    with operator(plane, site.lab, tmp_path, FLAG):
        eventually(lambda: site.has(proof), "the proof is handed over")
        eventually(lambda: site.says("Unknown", "AwaitingOwnership"), "it says so")
        assert proof in external.sync(site.endpoints(), site.namespace)["create"]
        site.ask("1")
        eventually(lambda: site.has(key, proof), "the key follows")
        assert key in external.sync(site.endpoints(), site.namespace)["create"]
        site.ask("2")
        eventually(lambda: is_ready(site.status()), "what is published is verified")
        eventually(lambda: site.says("True", "EndpointApplied"), "and said to be published")
        assert site.status()["status"]["verification"] == "Verified"
    version = site.endpoints()[0]["metadata"]["resourceVersion"]
    site.apply("Ownership", "DKIM", key=OTHER_KEY)
    with operator(plane, site.lab, tmp_path, FLAG) as second:
        eventually(
            lambda: site.endpoints()[0]["metadata"]["resourceVersion"] != version, "it changes"
        )
        changed = external.sync(site.endpoints(), site.namespace)
        assert key in changed["updateNew"]
        site.ask("3")
        eventually(lambda: is_ready(site.status()), "the new key is verified")
        version = site.endpoints()[0]["metadata"]["resourceVersion"]
        site.ask("4")
        eventually(
            lambda: site.status()["status"].get("lastHandledReconcileAt") == "4", "it is looked at"
        )
        assert site.endpoints()[0]["metadata"]["resourceVersion"] == version
        site.apply()
        eventually(lambda: site.endpoints() == [], "it is withdrawn")
        assert key in external.sync([], site.namespace)["delete"]
        eventually(lambda: "publication" not in site.status()["status"], "nothing is left")
    log = second.log.read_text()
    assert "RecordsPublished" in log
    assert "RecordsWithdrawn" in log
    assert forbidden(requests_of(plane, since=before)) == []


def test_what_others_have_is_left_alone(site: Site, program: Path, tmp_path: Path) -> None:
    label = site.namespace
    site.lab.put(ZONE, label, "TXT", f'"{SITE}"')
    foreign = {
        "apiVersion": dns_endpoint.API_VERSION,
        "kind": dns_endpoint.KIND,
        "metadata": {"name": CHILD},
        "spec": {"endpoints": [{"dnsName": f"a.{site.domain}", "recordType": "TXT"}]},
    }
    text = json.dumps(foreign)
    with operator(site.plane, site.lab, tmp_path, FLAG):
        site.apply("Ownership")
        eventually(lambda: site.says("False", "Conflict"), "the foreign TXT is told of")
        assert "PUBLISH_BESIDE_OTHERS" in site.codes()
        assert site.endpoints() == []
        # external-dns itself, told so by somebody else, leaves what it does not own.
        told = {"dnsName": site.domain, "recordType": "TXT", "targets": [f'"{site.proof}"']}
        external = ExternalDns(program, site.lab, ZONE)
        assert "create" not in external.sync([{"spec": {"endpoints": [told]}}], label)
        site.lab.put(ZONE, label, "TXT")
        apply(site.plane, text, site.namespace)
        site.ask("1")
        eventually(lambda: "PUBLISH_NAME_TAKEN" in site.codes(), "the foreign object is told of")
    (left,) = site.endpoints()
    assert left["spec"] == foreign["spec"]


def test_a_domain_that_is_created_again_has_its_records_handed_over_anew(
    site: Site, tmp_path: Path
) -> None:
    """What the earlier one of its name had is on its way to be collected, and nobody else's: to
    delete it is no fix where somebody's finalizer holds it."""
    site.apply("Ownership")
    with operator(site.plane, site.lab, tmp_path, FLAG):
        eventually(lambda: site.has(f"TXT {site.domain}"), "the proof is handed over")
        (earlier,) = site.endpoints()
        where = f"/apis/{dns_endpoint.API_VERSION}/namespaces/{site.namespace}/dnsendpoints"
        held = f"{where}/{earlier['metadata']['name']}"
        merge(site.plane, held, {"metadata": {"finalizers": ["example.com/backup"]}})
        delete(site.plane, f"{path_of(site.namespace, Kind.SENDING_DOMAIN)}/d")
        site.apply("Ownership")
        awaited = "is deleted, but stands"
        eventually(lambda: awaited in str(site.status()["status"]), "it waits for the earlier")
        assert "PUBLISH_NAME_TAKEN" not in site.codes()
        merge(site.plane, held, {"metadata": {"finalizers": None}})

        def anew() -> bool:
            found = [each["metadata"]["uid"] for each in site.endpoints()]
            return found not in ([], [earlier["metadata"]["uid"]])

        eventually(anew, "it is handed over anew")
        eventually(lambda: site.has(f"TXT {site.domain}"), "with what the domain wants")


def test_without_the_zone_or_the_flag_nothing_is_written(site: Site, tmp_path: Path) -> None:
    site.apply("Ownership")
    mark = "postroom.dev/publish-zones=other.example"
    site.plane.kubectl("annotate", "namespace", site.namespace, mark, "--overwrite")
    with operator(site.plane, site.lab, tmp_path, FLAG):
        eventually(lambda: site.says("False", "PublishingDenied"), "it is told")
        eventually(lambda: "PUBLISH_ZONE_DENIED" in site.codes(), "with what to do")
    with operator(site.plane, site.lab, tmp_path):
        site.ask("1")
        eventually(lambda: "PUBLISH_NOT_ENABLED" in site.codes(), "it is told")
    assert site.endpoints() == []


OURS = {"app.kubernetes.io/managed-by": "postroom"}
OWNER = {"apiVersion": API_VERSION, "kind": "SendingDomain", "name": "d", "uid": "u"}


def test_the_policy_keeps_the_operator_to_its_own_and_to_the_zones(site: Site) -> None:
    plane, where = site.plane, site.namespace

    def attempt(name: str, kind: str = "CNAME", **metadata: Any) -> str:
        known = {"labels": OURS, "ownerReferences": [{**OWNER, "controller": True}]}
        made = {
            "apiVersion": dns_endpoint.API_VERSION,
            "kind": dns_endpoint.KIND,
            "metadata": {"generateName": "x-", **known, **metadata},
            "spec": {"endpoints": [{"dnsName": name, "recordType": kind, "targets": ["a.b"]}]},
        }
        args = (f"--as={USER}", "-n", where, "create", "--dry-run=server", "-f", "-")
        done = plane.kubectl(*args, input=json.dumps(made), check=False)
        return done.stdout + done.stderr

    good = f"k1._domainkey.{site.domain}"
    eventually(lambda: "may not publish at" in attempt("www.example.org"), "it is in force")
    assert "created" in attempt(good)
    for name in (ZONE, f"evil{ZONE}", "example.org", f"{ZONE}.evil.example", f"a.{ZONE}."):
        assert "may not publish at" in attempt(name), name
    assert "nothing but TXT, CNAME and MX" in attempt(good, "NS")
    refusal = "no DNSEndpoints but those of its SendingDomains"
    assert refusal in attempt(good, labels={})
    assert refusal in attempt(good, ownerReferences=[OWNER])
    foreign = {"apiVersion": dns_endpoint.API_VERSION, "kind": dns_endpoint.KIND}
    text = json.dumps({**foreign, "metadata": {"name": "f"}, "spec": {"endpoints": []}})
    apply(plane, text, where)
    change = ("patch", "dnsendpoint", "f", "--type=merge", "-p", '{"spec": {"endpoints": []}}')
    for verb in (change, ("delete", "dnsendpoint", "f")):
        done = plane.kubectl(f"--as={USER}", "-n", where, *verb, check=False)
        assert refusal in done.stderr, verb


def test_types_are_named_in_a_flag_each(program: Path, lab: LabProcess) -> None:
    external = ExternalDns(program, lab, ZONE)
    wanted = [
        {"dnsName": f"flag-{kind.lower()}.{ZONE}", "recordType": kind, "targets": [target]}
        for kind, target in (("TXT", '"a"'), ("CNAME", "a.example.net"))
    ]
    listed = [{"spec": {"endpoints": wanted}}]
    assert "create" not in external.sync(listed, "flags", ("TXT,CNAME",))
    header = " ".join(dns_endpoint.HEADER.replace("#", " ").split())
    printed = [
        word.partition("=")[2]
        for word in header.split()
        if word.startswith("--managed-record-types=")
    ]
    assert len(external.sync(listed, "flags", tuple(printed))["create"]) == 2
    assert len(external.sync([], "flags", tuple(printed))["delete"]) == 2


def stands(lab: LabProcess, name: str) -> list[str]:
    """The TXT records that the lab has at a name."""
    query = dns.message.make_query(name, "TXT")
    reply = dns.query.tcp(query, lab.reach.address, port=lab.reach.dns_port, timeout=60)
    return sorted(rdata.to_text() for found in reply.answer for rdata in found)


def test_what_docs_publishing_tells_of_external_dns(program: Path, lab: LabProcess) -> None:
    external = ExternalDns(program, lab, ZONE)

    def publish(name: str, text: str) -> None:
        listed = [{"dnsName": f"{name}.{ZONE}", "recordType": "TXT", "targets": [f'"{text}"']}]
        external.sync([{"spec": {"endpoints": listed}}], "told", ("A", "TXT"))

    # Beside what it does not own, of whatever type that it manages, it makes nothing.
    lab.put(ZONE, "told-owned", "A", "192.0.2.9")
    publish("told-owned", "a")
    assert stands(lab, f"told-owned.{ZONE}") == []
    # A text without spaces changes; one with a space stays beside the new one.
    for name, before, after in (("told-1", "a=1", "a=2"), ("told-2", "v=x a", "v=x b")):
        publish(name, before)
        publish(name, after)
        left = {f'"{after}"'} | ({f'"{before}"'} if " " in before else set())
        assert set(stands(lab, f"{name}.{ZONE}")) == left
    external.sync([], "told", ("A", "TXT"))
    assert stands(lab, f"told-1.{ZONE}") == []
    lab.put(ZONE, "told-2", "TXT")
    lab.put(ZONE, "told-owned", "A")
