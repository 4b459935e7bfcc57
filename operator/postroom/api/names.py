# SPDX-License-Identifier: Apache-2.0
"""The names under which postroom appears in the Kubernetes API."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

GROUP = "postroom.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

#: What to type in a checkout where the API server does not know our kinds.
APPLY_CRDS = "kubectl apply --server-side -k crds"

#: Any change of the token under either key asks for one check now; acknowledged in
#: ``status.lastHandledReconcileAt``.
REQUESTED_AT_ANNOTATIONS = (f"{GROUP}/requested-at", "reconcile.fluxcd.io/requestedAt")

#: A new value asks for one test message; acknowledged in ``status.lastTest``.
SEND_TEST_ANNOTATION = f"{GROUP}/send-test"
#: Who gets the test message instead of the account itself.
SEND_TEST_TO_ANNOTATION = f"{GROUP}/send-test-to"
#: A new value asks for one look back over the mailbox; acknowledged in ``status.lastBackfill``.
BACKFILL_ANNOTATION = f"{GROUP}/backfill"

#: All annotations of our objects that are read.
REQUEST_ANNOTATIONS = (
    *REQUESTED_AT_ANNOTATIONS,
    SEND_TEST_ANNOTATION,
    SEND_TEST_TO_ANNOTATION,
    BACKFILL_ANNOTATION,
)

#: On a Secret: the hosts (comma separated, ``*.`` allowed as first label) that may receive it.
ALLOWED_HOSTS_ANNOTATION = f"{GROUP}/allowed-hosts"

#: On a Secret: what else its owner allows (comma separated).
ALLOW_ANNOTATION = f"{GROUP}/allow"
#: The use of a Secret that declares it public: it may be read, and shown, as a DKIM public key.
ALLOW_DKIM_PUBLIC_KEY = "dkim-public-key"
#: The use of a Secret whose credentials may be copied into the Secret of a binding.
ALLOW_BINDING = "binding"
#: The use of a Secret whose key may sign what is handed to an application.
ALLOW_SIGNING = "inbound-signing"

#: On a Secret or ConfigMap: a label that asks postroom to notice a change at once.
WATCH_LABEL = f"{GROUP}/watch"

#: The label by which the operator recognises its own CustomResourceDefinitions.
PART_OF_LABEL = ("app.kubernetes.io/part-of", "postroom")


class Kind(StrEnum):
    """The kinds of this API group."""

    SENDING_DOMAIN = "SendingDomain"
    MAIL_SERVER = "MailServer"
    EMAIL_ACCOUNT = "EmailAccount"

    @property
    def plural(self) -> str:
        """The resource name in URLs and RBAC rules."""
        return self.value.lower() + "s"


class Key(NamedTuple):
    """Identifies one object of this group: the unit of work of the engine."""

    kind: Kind
    namespace: str
    name: str

    @classmethod
    def of(cls, kind: Kind, raw: Mapping[str, Any]) -> "Key":
        """Return the key of a raw object."""
        metadata = raw.get("metadata")
        found = metadata if isinstance(metadata, Mapping) else {}
        return cls(kind, str(found.get("namespace") or ""), str(found.get("name") or ""))

    def __str__(self) -> str:
        return f"{self.kind.plural}/{self.namespace}/{self.name}"
