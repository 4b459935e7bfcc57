# SPDX-License-Identifier: Apache-2.0
"""The admission policies of tenants as data.

Covers: that every name of a domain, host or address in the definitions is one that a policy judges,
or one of which is said why none does; that the hosts of mail providers are those of the presets;
that what the policies share is the same in all. What they refuse is shown by
tests/cluster/test_tenants.py, test_tenants_moved.py and test_tenant_annotations.py.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from postroom.api.crd import definition
from postroom.api.names import Kind

ROOT = Path(__file__).resolve().parents[3]
TENANTS = ROOT / "manifests" / "install" / "tenants"
#: What the policies call the spec.
DOMAINS, HOSTS, RECIPIENTS = "domains.yaml", "mail-hosts.yaml", "test-recipients.yaml"
JUDGED: dict[tuple[str, str], str] = {
    ("SendingDomain", "domain"): DOMAINS,
    ("MailServer", "host"): HOSTS,
    ("MailServer", "oauth.subject"): DOMAINS,
    ("MailServer", "mailboxes.addresses"): DOMAINS,
    ("MailServer", "mailboxes.domains"): DOMAINS,
    ("MailServer", "oauth.tokenURL"): HOSTS,
    ("EmailAccount", "address"): DOMAINS,
    ("EmailAccount", "fallbackSender"): DOMAINS,
    ("EmailAccount", "identities.address"): DOMAINS,
    ("EmailAccount", "imap.host"): HOSTS,
    ("EmailAccount", "oauth.subject"): DOMAINS,
    ("EmailAccount", "oauth.tokenURL"): HOSTS,
}
_COMPARED = "it is what a record of the domain must say, and compared: nothing is dialled for it"
_NAME_ALONE = "it is the name in the certificate of the host, which is dialled under its own"
FREE: dict[tuple[str, str], str] = {
    ("SendingDomain", "ownership.name"): "the definition keeps it at or below the domain",
    ("SendingDomain", "spf.includes"): _COMPARED,
    ("SendingDomain", "dkim.cname"): _COMPARED,
    ("SendingDomain", "dkimDelegation"): _COMPARED,
    ("SendingDomain", "dmarc.rua"): _COMPARED,
    ("SendingDomain", "mx.host"): _COMPARED,
    ("SendingDomain", "returnPath.cname"): _COMPARED,
    ("SendingDomain", "returnPath.mx.host"): _COMPARED,
    ("SendingDomain", "returnPath.spf.includes"): _COMPARED,
    ("SendingDomain", "tracking.cname"): _COMPARED,
    ("SendingDomain", "mtaSTS.cname"): _COMPARED,
    ("SendingDomain", "tlsRPT.rua"): _COMPARED,
    ("SendingDomain", "bimi.logo"): _COMPARED,
    ("SendingDomain", "bimi.certificate"): _COMPARED,
    ("MailServer", "tls.serverName"): _NAME_ALONE,
    ("EmailAccount", "imap.tls.serverName"): _NAME_ALONE,
    (
        "EmailAccount",
        "forwarding.technicalAddress",
    ): "mail is looked for there, and never sent to it",
    (
        "EmailAccount",
        "replyTo",
    ): "test messages name it, and ask for no answer: nothing is sent to it",
}
#: How the definitions say that a text is a domain, a host, an address or a URL.
_NAMES = re.compile(r"must be an? (domain|DNS name|email address|URL|(mailto|https): |mailto: or)")


def strings(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema of every text, with the path to it."""
    match schema.get("type"):
        case "object":
            for name, below in schema.get("properties", {}).items():
                yield from strings(below, f"{path}.{name}".removeprefix("."))
        case "array":
            yield from strings(schema["items"], path)
        case "string":
            yield path, schema


def names() -> set[tuple[str, str]]:
    found = set()
    for kind in Kind:
        (version,) = definition(kind)["spec"]["versions"]
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        for path, schema in strings(spec):
            said = [rule["message"] for rule in schema.get("x-kubernetes-validations", [])]
            if any(_NAMES.match(sentence) for sentence in said):
                found.add((kind.value, path))
    return found


def policy(file: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        yaml.load_all((TENANTS / file).read_text(), Loader=yaml.CSafeLoader)
    )
    assert found["kind"] == "ValidatingAdmissionPolicy"
    return found


def test_every_name_in_a_spec_is_judged_or_free_for_a_reason() -> None:
    assert names() == JUDGED.keys() | FREE.keys(), (
        "judge a new name of a domain, host or address in manifests/install/tenants, or say in "
        "FREE why no policy has to"
    )
    assert not JUDGED.keys() & FREE.keys()


@pytest.mark.parametrize(("kind", "path", "file"), [(*key, file) for key, file in JUDGED.items()])
def test_a_policy_reads_what_it_judges(kind: str, path: str, file: str) -> None:
    spec = policy(file)["spec"]
    (rule,) = spec["matchConstraints"]["resourceRules"]
    assert Kind(kind).plural in rule["resources"]
    text = " ".join(variable["expression"] for variable in spec["variables"])
    first, _, rest = path.partition(".")
    assert f"variables.spec.{first}" in text
    assert not rest or rest.rpartition(".")[2] in text


@pytest.mark.parametrize("file", [DOMAINS, HOSTS, RECIPIENTS])
def test_a_policy_fails_closed(file: str) -> None:
    spec = policy(file)["spec"]
    assert spec["failurePolicy"] == "Fail"
    assert "matchConditions" not in spec
    (rule,) = spec["matchConstraints"]["resourceRules"]
    assert rule["operations"] == ["CREATE", "UPDATE"]
    assert rule["apiVersions"] == ["*"]
    assert spec["variables"][0] == {"name": "strict", "expression": "false"}


@pytest.mark.parametrize("name", ["annotated", "spec", "rests"])
def test_what_they_share_is_the_same(name: str) -> None:
    found = []
    for file in (DOMAINS, HOSTS, RECIPIENTS):
        text = yaml.safe_dump(policy(file)["spec"]["variables"], width=10_000)
        for mark in ("domains", "mail-hosts", "test-recipients"):
            text = text.replace(f"postroom.dev/{mark}", "MARK")
        found += [one for one in yaml.load(text, Loader=yaml.CSafeLoader) if one["name"] == name]
    assert len(found) == 3
    for one, other in itertools.pairwise(found):
        assert one == other


def test_the_hosts_of_providers_are_those_of_the_presets() -> None:
    path = ROOT / "manifests" / "generate.py"
    found = importlib.util.spec_from_file_location("generate", path)
    assert found is not None
    assert found.loader is not None
    generate = importlib.util.module_from_spec(found)
    found.loader.exec_module(generate)
    assert generate.policy() == (TENANTS / HOSTS).read_text(), "run `make crds`"
