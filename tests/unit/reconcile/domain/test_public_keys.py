# SPDX-License-Identifier: Apache-2.0
"""publicKeyRef: what it leads to is shown to everyone, so that only what is public is read."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.conditions import ConditionType
from postroom.api.masked import Masked
from postroom.api.names import Key, Kind
from postroom.reconcile.world import SecretContent
from unit.dns.domains import ED25519, RSA
from unit.reconcile.tenants import Tenants, said, verdict

DOMAIN = "mail.example"
RESOLVED, READY = ConditionType.REFERENCES_RESOLVED, ConditionType.READY
SECRET = base64.b64encode(b"thirty-two bytes of a canary key").decode()
PEM = f"-----BEGIN PUBLIC KEY-----\n{RSA}\n-----END PUBLIC KEY-----\n"
assert len(base64.b64decode(SECRET)) == 32


def referring(tenants: Tenants, **reference: str) -> Key:
    dkim = [{"selector": "s1", "publicKeyRef": {"name": "k", "key": "pub", **reference}}]
    return tenants.add("a", domain=DOMAIN, dkim=dkim, require=["DKIM"])


def declared(value: str, *uses: str) -> SecretContent:
    return SecretContent("k", "uid", "1", {"pub": Masked(value)}, None, frozenset(uses))


@pytest.mark.parametrize(
    "value",
    [SECRET, ED25519, RSA, PEM, "hunter2hunter2"],
    ids=["secret", "ed25519", "rsa", "pem", "password"],
)
@pytest.mark.parametrize("uses", [(), ("dkim",), ("DKIM-PUBLIC-KEY",), ("all", "true")])
def test_a_secret_that_its_owner_does_not_declare_public_is_not_read(
    value: str, uses: tuple[str, ...]
) -> None:
    tenants = Tenants()
    tenants.secrets["a", "k"] = declared(value, *uses)
    status = tenants.look(referring(tenants))
    assert verdict(status, RESOLVED) == verdict(status, READY)
    assert verdict(status, READY) == ("False", "ReferenceNotPermitted")
    assert verdict(status, ConditionType.STALLED) == ("True", "ReferenceNotPermitted")
    text = said(status)
    assert "postroom.dev/allow: dkim-public-key" in text
    assert "ConfigMap" in text
    assert not any(part in text for part in (value, value[:8], value[8:24]))


@pytest.mark.parametrize("value", [ED25519, RSA, PEM], ids=["ed25519", "rsa", "pem"])
@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_what_is_public_is_shown(kind: str, value: str) -> None:
    tenants = Tenants()
    tenants.secrets["a", "k"] = declared(value, "other", "dkim-public-key")
    tenants.config_maps["a", "k"] = {"pub": value}
    if kind == "Secret":
        tenants.config_maps.clear()
    else:
        tenants.secrets.clear()
    status = tenants.look(referring(tenants, kind=kind))
    record = next(one for one in status.records if one.id == "dkim-s1")
    assert record.value.endswith(RSA if value == PEM else value)
    tenants.publish(record.name, record.value)
    assert verdict(tenants.look(referring(tenants, kind=kind)), READY) == ("True", "Succeeded")


@pytest.mark.parametrize(
    "value",
    [
        "not a key at all, canary-0123456789",
        base64.b64encode(b"canary-0123456789" * 4).decode(),
        "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5LTAxMjM0NTY3ODk=\n-----END PRIVATE KEY-----",
        f"{RSA[:-8]}AAAAAAA",
        "\x00\x1b[31mcanary-0123456789",
    ],
)
@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_what_is_no_public_key_is_never_repeated(kind: str, value: str) -> None:
    tenants = Tenants()
    tenants.secrets["a", "k"] = declared(value, "dkim-public-key")
    tenants.config_maps["a", "k"] = {"pub": value}
    status = tenants.look(referring(tenants, kind=kind))
    assert verdict(status, READY) == ("False", "PublicKeyInvalid")
    text = said(status)
    assert "does not parse as a public key" in text
    assert not any(value[at : at + 8] in text for at in range(0, len(value) - 8, 4))


def test_what_was_shown_goes_when_it_may_not_be_read_any_more() -> None:
    tenants = Tenants()
    tenants.secrets["a", "k"] = declared(SECRET, "dkim-public-key")
    key = referring(tenants)
    assert SECRET in said(tenants.look(key))
    tenants.secrets["a", "k"] = declared(SECRET)
    assert SECRET not in said(tenants.look(key))


def test_a_missing_object_is_named() -> None:
    tenants = Tenants()
    assert verdict(tenants.look(referring(tenants)), READY) == ("False", "SecretNotFound")
    status = tenants.look(referring(tenants, kind="ConfigMap"))
    assert verdict(status, READY) == ("False", "ConfigMapNotFound")
    tenants.config_maps["a", "k"] = {"other": RSA}
    status = tenants.look(referring(tenants, kind="ConfigMap"))
    assert verdict(status, READY) == ("False", "ConfigMapKeyMissing")


# -- nothing of any Secret in any status ----------------------------------------------------------

_BYTES = st.binary(min_size=16, max_size=64)


def forms(secret: bytes) -> list[str]:
    """A Secret's bytes as they may be written: as they are, in base64, in hexadecimal, as PEM."""
    encoded = base64.b64encode(secret).decode()
    return [
        secret.decode("latin-1"),
        encoded,
        secret.hex(),
        f"-----BEGIN PUBLIC KEY-----\n{encoded}\n-----END PUBLIC KEY-----",
        f"v=DKIM1; k=ed25519; p={encoded}",
        f"username: {encoded}",
    ]


def traces(value: str, secret: bytes) -> set[str]:
    """Every eight characters of what a Secret holds, as it is, in base64 and in hexadecimal."""
    raw = value.encode()
    whole = [value, secret.hex(), raw.hex()]
    whole += [
        base64.b64encode(octets[at:]).decode()[:-4] for octets in (secret, raw) for at in range(3)
    ]
    return {one[at : at + 8] for one in whole for at in range(len(one) - 7)}


_PUBLIC_WORDS = ("PUBLIC KEY", "BEGIN PUB", "username", "v=DKIM1;", "k=ed25519", "-----")


def _is_public(trace: str) -> bool:
    return any(trace in word or word in trace for word in _PUBLIC_WORDS)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(range(6)),
    _BYTES | st.binary(min_size=32, max_size=32),
    st.sampled_from(["publicKeyRef", "caBundleRef", "credentialsRef", "clientSecretRef"]),
    st.sampled_from(["pub", "username", "password", "ca.crt"]),
    st.booleans(),
)
def test_no_byte_of_a_secret_that_is_not_declared_public_reaches_a_status(
    form: int, secret: bytes, where: str, data_key: str, twice: bool
) -> None:
    """Whatever refers to a Secret, whatever it holds: as it is, in base64, in hexadecimal."""
    value = forms(secret)[form]
    tenants = Tenants()
    tenants.add_secret("a", "k", **{data_key: value, **({"username": value} if twice else {})})
    key = _object(tenants, where, data_key)
    text = tenants.evaluate(key).model_dump_json(by_alias=True)
    text += tenants.evaluate(key).model_dump_json(by_alias=True)
    known = {trace for trace in traces(value, secret) if not _is_public(trace)}
    # What the status says of an empty world is no trace of the Secret.
    bare = Tenants()
    bare.add_secret("a", "k", **{data_key: "-", **({"username": "-"} if twice else {})})
    innocent = bare.evaluate(_object(bare, where, data_key)).model_dump_json(by_alias=True)
    found = [one for one in known if one in text and one not in innocent]
    assert found == []


def _object(tenants: Tenants, where: str, data_key: str) -> Key:
    namespace, reference = "a", {"name": "k", "key": data_key}
    if where == "publicKeyRef":
        dkim = [{"selector": "s1", "publicKeyRef": reference}]
        return tenants.add(namespace, domain=DOMAIN, dkim=dkim)
    spec: dict[str, Any] = {"host": "smtp.mail.example"}
    if where == "caBundleRef":
        spec["tls"] = {"caBundleRef": {"kind": "Secret", **reference}}
    elif where == "credentialsRef":
        spec["credentialsRef"] = {"name": "k"}
    else:
        spec["oauth"] = {
            "provider": "Google",
            "flow": "RefreshToken",
            "clientID": "id",
            "subject": "me@mail.example",
            "clientSecretRef": reference,
            "refreshTokenRef": reference,
        }
    return tenants.put(Key(Kind.MAIL_SERVER, namespace, "s"), spec)
