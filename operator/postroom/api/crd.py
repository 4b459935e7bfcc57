# SPDX-License-Identifier: Apache-2.0
"""The CustomResourceDefinitions, made from the models: the only source of ``crds/``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from postroom.api.fields import RULES
from postroom.api.names import GROUP, PART_OF_LABEL, VERSION, Kind
from postroom.api.resource import SPECS, STATUSES
from postroom.api.schema import structural
from postroom.api.status import DEFAULT_STATUS

HEADER = (
    "# Generated from the models in operator/postroom/api by `make crds`; edit those instead.\n"
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``; those of priority 1 show with ``-o wide``."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0

    def rendered(self) -> dict[str, Any]:
        built: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return {**built, "priority": self.priority} if self.priority else built


def _condition(kind: str, part: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{part}'


_READY = (
    Column("Ready", _condition("Ready")),
    Column("Reason", _condition("Ready", "reason")),
)
#: Nothing where the object is not marked, False where another was marked later.
_DEFAULT = Column("Default", _condition("Default"))
_DEFAULT_SINCE = Column("Default Since", ".status.defaultSince", "date", 1)
_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_WIDE = (
    Column("Last Check", ".status.lastCheckTime", "date", 1),
    Column("Message", _condition("Ready", "message"), priority=1),
)


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a definition says of a kind besides its schema."""

    short_name: str
    description: str
    columns: tuple[Column, ...]
    selectable: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


PRESENTATIONS: dict[Kind, Presentation] = {
    Kind.SENDING_DOMAIN: Presentation(
        "sdom",
        "A domain that mail is sent from. Status tells whether its DNS records (ownership, DKIM, "
        "SPF, DMARC, MX) really authorise it, and if not, the one thing to change.",
        (
            Column("Domain", ".spec.domain"),
            *_READY,
            Column("Verification", ".status.verification"),
            Column("Verified", ".status.verifiedAt", "date"),
            Column("DKIM", _condition("DKIMVerified")),
            Column("SPF", _condition("SPFVerified")),
            Column("DMARC", _condition("DMARCVerified")),
            _AGE,
            Column("MX", _condition("MXVerified"), priority=1),
            *_WIDE,
        ),
        (".spec.domain",),
    ),
    Kind.MAIL_SERVER: Presentation(
        "msrv",
        "An SMTP server that mail is sent through. Status tells whether it can be reached, its "
        "certificate is trusted and it takes the credentials. A check sends no mail.",
        (
            Column("Endpoint", ".status.endpoint"),
            *_READY,
            Column("SMTP", _condition("SMTPAvailable")),
            Column("TLS", _condition("TLSVerified")),
            Column("Accounts", ".status.accounts", "integer"),
            _DEFAULT,
            _AGE,
            _DEFAULT_SINCE,
            *_WIDE,
        ),
        (".spec.host",),
    ),
    Kind.EMAIL_ACCOUNT: Presentation(
        "eacct",
        "An email address that sends through a MailServer and, if asked, reads a mailbox. Status "
        "tells whether both work.",
        (
            Column("Address", ".spec.address"),
            Column("Server", ".status.serverName"),
            *_READY,
            Column("Unseen", ".status.mailbox.unseen", "integer"),
            _DEFAULT,
            _AGE,
            _DEFAULT_SINCE,
            Column("Sender", ".status.effectiveSender.address", priority=1),
            Column("Daily", ".status.sendPlan.daily", "integer", 1),
            Column("Connection", ".spec.connection", priority=1),
            Column("Consumer", ".status.consumer", priority=1),
            Column("Launch", ".status.launch.summary", priority=1),
            Column("Binding", ".status.binding.name", priority=1),
            Column("Delivering", _condition("InboundDelivering"), priority=1),
            Column("Waiting", ".status.inbound.waiting", "integer", 1),
            *_WIDE,
        ),
        (".spec.address",),
        # Its status names a Secret that applications can be bound to (servicebinding.io).
        {"servicebinding.io/provisioned-service": "true"},
    ),
}


def _drop_rules(node: dict[str, Any]) -> None:
    """Take the CEL rules out of a schema, which are for what users write.

    The API server evaluates them with every write, also of what else it is that has changed.
    """
    node.pop(RULES, None)
    for inner in (*node.get("properties", {}).values(), *filter(None, [node.get("items")])):
        _drop_rules(inner)


def _tell_defaults_of_items(node: dict[str, Any], *, listed: bool = False) -> None:
    """Tell in words what an item of a list has by default, and have the API server not fill it in.

    Whoever compares what was applied with what stands takes a list of a custom resource as a whole:
    `kubectl apply` would change it each time, and Argo CD show a difference for ever. What was
    applied without the field is read by the models, which have the default.
    """
    if listed and "default" in node:
        value = node.pop("default")
        text = json.dumps(value) if not isinstance(value, str) else value
        node["description"] = f"{node['description']} Default: {text}."
    for inner in node.get("properties", {}).values():
        _tell_defaults_of_items(inner, listed=listed)
    if "items" in node:
        _tell_defaults_of_items(node["items"], listed=True)


def definition(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a kind."""
    shown = PRESENTATIONS[kind]
    spec = structural(SPECS[kind])
    _tell_defaults_of_items(spec)
    status = structural(STATUSES[kind])
    status["default"] = DEFAULT_STATUS
    status["description"] = "What postroom found out; written by postroom alone."
    _drop_rules(status)
    # Whoever writes one writes all of it. Who owns every field of every item would be kept beside
    # it all the same, and is a tenth of what a write has the API server allocate.
    status["x-kubernetes-map-type"] = "atomic"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{GROUP}",
            "labels": {**dict([PART_OF_LABEL]), **shown.labels},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.value,
                "listKind": f"{kind.value}List",
                "plural": kind.plural,
                "singular": kind.value.lower(),
                "shortNames": [shown.short_name],
                "categories": ["postroom", "mail"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": path} for path in shown.selectable],
                    "additionalPrinterColumns": [column.rendered() for column in shown.columns],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": shown.description,
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": spec,
                                "status": status,
                            },
                        }
                    },
                }
            ],
        },
    }


def definitions() -> tuple[dict[str, Any], ...]:
    """Return the CustomResourceDefinitions of all kinds."""
    return tuple(definition(kind) for kind in Kind)


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: Kubernetes tooling reads them, people do not."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def render() -> dict[str, str]:
    """Return the definitions as YAML texts by file name."""
    return dict(_rendered())


@cache
def _rendered() -> tuple[tuple[str, str], ...]:
    return tuple(
        (
            f"{definition['spec']['names']['plural']}.yaml",
            HEADER + yaml.dump(definition, Dumper=_Dumper, sort_keys=False, width=100),
        )
        for definition in definitions()
    )
