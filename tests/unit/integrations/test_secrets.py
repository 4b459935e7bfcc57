# SPDX-License-Identifier: Apache-2.0
"""The Secrets that the examples for the External Secrets Operator and Sealed Secrets make are what
the MailServer of the example asks for.

That both take the examples is shown by tests/cluster/test_integrations.py.
"""

from typing import Any

import pytest
import yaml

from postroom.api.mailserver import MailServerSpec
from postroom.api.names import ALLOWED_HOSTS_ANNOTATION, WATCH_LABEL, Kind
from postroom.api.resource import parse_spec
from state_map import INTEGRATIONS

PLACE = INTEGRATIONS / "secrets"
Raw = dict[str, Any]


def document(name: str) -> Raw:
    found: Raw = yaml.load((PLACE / name).read_text(), Loader=yaml.CSafeLoader)
    return found


def by_external_secrets(made: Raw) -> Raw:
    """The Secret that the operator makes: the template's metadata, and each key of data."""
    target = made["spec"]["target"]
    keys = [entry["secretKey"] for entry in made["spec"]["data"]]
    metadata = {"name": target["name"], "namespace": made["metadata"]["namespace"]}
    return {"metadata": metadata | target["template"]["metadata"], "keys": keys}


def by_sealed_secrets(made: Raw) -> Raw:
    """The Secret that is unsealed: of the same name, with the metadata of the template."""
    own = {name: made["metadata"][name] for name in ("name", "namespace")}
    metadata = own | made["spec"]["template"]["metadata"]
    return {"metadata": metadata, "keys": [*made["spec"]["encryptedData"]]}


@pytest.mark.parametrize(
    "secret",
    [
        by_external_secrets(document("external-secret.yaml")),
        by_sealed_secrets(document("sealed-secret.yaml")),
    ],
    ids=["external", "sealed"],
)
def test_the_secret_is_what_the_server_asks_for(secret: Raw) -> None:
    server = document("mailserver.yaml")
    spec = parse_spec(Kind.MAIL_SERVER, server["spec"])
    assert isinstance(spec, MailServerSpec)
    ref = spec.credentials_ref
    assert ref is not None
    metadata = secret["metadata"]
    assert (metadata["name"], metadata["namespace"]) == (ref.name, server["metadata"]["namespace"])
    assert secret["keys"] == [*(ref.username_key or "username", ref.password_key or "password")]
    assert metadata["annotations"] == {ALLOWED_HOSTS_ANNOTATION: spec.host}
    assert metadata["labels"] == {WATCH_LABEL: "true"}
