# SPDX-License-Identifier: Apache-2.0
"""``spec.oauth``: what fits together and what does not, and its form in the CRD."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from postroom.api.fields import RULES
from postroom.api.oauth import OAuth
from postroom.api.schema import structural

REFERENCE = {"name": "oauth", "key": "value"}
GOOGLE = {"provider": "Google", "clientID": "gid", "refreshTokenRef": REFERENCE}
ACCOUNT = {"provider": "Google", "flow": "ServiceAccount", "serviceAccountKeyRef": REFERENCE}
MICROSOFT = {"provider": "Microsoft", "clientID": "mid", "refreshTokenRef": REFERENCE}
APPLICATION = {
    "provider": "Microsoft",
    "flow": "ClientCredentials",
    "clientID": "aid",
    "tenant": "contoso.onmicrosoft.com",
    "clientSecretRef": REFERENCE,
}
URL = "https://login.example.com/oauth2/token"
GENERIC = {
    "provider": "Generic",
    "clientID": "id",
    "refreshTokenRef": REFERENCE,
    "tokenURL": URL,
}


def without(spec: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if name not in names}


GOOD = [
    GOOGLE,
    GOOGLE | {"clientSecretRef": REFERENCE},
    ACCOUNT | {"subject": "bob@example.com"},
    GOOGLE | {"rotation": "None"},
    MICROSOFT | {"rotation": "WriteBack"},
    MICROSOFT | {"tenant": "common", "cloud": "China", "certificateRef": {"name": "cert"}},
    APPLICATION,
    without(APPLICATION, "clientSecretRef") | {"certificateRef": {"name": "cert"}},
    GENERIC | {"scopes": ["mail-w"]},
    GENERIC | {"caBundleRef": {"kind": "Secret", "name": "ca", "key": "ca.pem"}},
    GENERIC | {"tokenURL": "https://keycloak.mail.svc:8443/realms/x/token"},
    without(GENERIC, "refreshTokenRef")
    | {"flow": "ClientCredentials", "clientSecretRef": REFERENCE},
]


@pytest.mark.parametrize("spec", GOOD)
def test_what_fits_together(spec: dict[str, Any]) -> None:
    OAuth.model_validate(spec)


BAD = [
    (GOOGLE | {"flow": "ClientCredentials"}, "flow must be RefreshToken, or"),
    (MICROSOFT | {"flow": "ServiceAccount"}, "flow must be RefreshToken, or"),
    (without(GOOGLE, "clientID"), "clientID must be set"),
    (without(GOOGLE, "refreshTokenRef"), "refreshTokenRef must be set"),
    (ACCOUNT | {"refreshTokenRef": REFERENCE}, "refreshTokenRef must be set where"),
    (without(ACCOUNT, "serviceAccountKeyRef"), "serviceAccountKeyRef must be set"),
    (GOOGLE | {"serviceAccountKeyRef": REFERENCE}, "serviceAccountKeyRef must be set where"),
    (APPLICATION | {"certificateRef": {"name": "x"}}, "certificateRef may not be set beside"),
    (without(APPLICATION, "clientSecretRef"), "clientSecretRef must be set where"),
    (ACCOUNT | {"clientSecretRef": REFERENCE}, "clientSecretRef may not be set where"),
    (GOOGLE | {"tenant": "x"}, "provider must be Microsoft where"),
    (GOOGLE | {"cloud": "Public"}, "provider must be Microsoft where"),
    (GENERIC | {"certificateRef": {"name": "x"}}, "provider must be Microsoft where"),
    (without(APPLICATION, "tenant"), "tenant must be the ID"),
    (APPLICATION | {"tenant": "common"}, "tenant must be the ID"),
    (without(GENERIC, "tokenURL"), "tokenURL must be set"),
    (GOOGLE | {"tokenURL": URL}, "tokenURL must be set where provider is Generic, and only"),
    (GOOGLE | {"caBundleRef": {"name": "ca"}}, "caBundleRef may not be set unless"),
    (GOOGLE | {"rotation": "writeBack"}, "rotation"),
    (ACCOUNT | {"rotation": "WriteBack"}, "rotation may not be set unless flow"),
    (APPLICATION | {"rotation": "None"}, "rotation may not be set unless flow"),
    (GOOGLE | {"clientID": "with space"}, "must be the client's ID"),
    (GOOGLE | {"scopes": ["two scopes"]}, "must be one scope"),
    (GOOGLE | {"scopes": ["x"] * 17}, "at most 16"),
    (MICROSOFT | {"tenant": "a/../b"}, "must be a tenant's ID"),
    (GOOGLE | {"password": "x"}, "Extra inputs"),
]


@pytest.mark.parametrize(("spec", "sentence"), BAD)
def test_what_does_not(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        OAuth.model_validate(spec)


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/token",
        "https://login.example.com",
        "https://user@login.example.com/token",
        "https://127.0.0.1/token",
        "https://[::1]/token",
        "https://login.example.com/token?x=y",
        "https://login.example.com/token#x",
        "https://LOGIN.example.com/token",
        "https://login.example.com:0/token",
        "https://login.example.com/\ntoken",
    ],
)
def test_what_is_no_token_url(url: str) -> None:
    with pytest.raises(ValidationError, match="must be a URL such as"):
        OAuth.model_validate(GENERIC | {"tokenURL": url})


def test_the_crd_says_the_same() -> None:
    schema = structural(OAuth)
    rules = schema[RULES]
    assert len(rules) == 12
    for rule in rules:
        name = rule["fieldPath"].removeprefix(".")
        assert name in schema["properties"]
        assert not rule["message"].startswith(name)
    assert schema["required"] == ["provider"]
    assert schema["properties"]["clientID"]["maxLength"] == 256
