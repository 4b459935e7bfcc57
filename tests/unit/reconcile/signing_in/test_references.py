# SPDX-License-Identifier: Apache-2.0
"""Following references: what is found, and why not; a Secret goes only where its owner lets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from postroom.api.ca_bundle import CABundleReference
from postroom.api.conditions import ConditionType, Verdict
from postroom.api.credentials_reference import CredentialsReference
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.api.sendingdomain_records import PublicKeyReference
from postroom.reconcile.signing_in import references
from postroom.reconcile.signing_in.references import Credentials, Text, Written
from postroom.reconcile.world import ConfigMapContent, LookupUnavailable, SecretContent, World
from unit.dns.domains import RSA
from unit.reconcile.assessments import NOW

LOGIN = {"username": "relay", "password": "p"}


@dataclass
class Sources:
    """Stands for a world that holds one Secret and one ConfigMap."""

    data: Mapping[str, str] = field(default_factory=lambda: LOGIN)
    allowed: tuple[str, ...] | None = None
    uses: frozenset[str] = frozenset()

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        if (namespace, name) != ("mail", "held"):
            return None
        masked = {key: Masked(text) for key, text in self.data.items()}
        written = {"password": NOW}
        return SecretContent(name, "uid", "7", masked, self.allowed, self.uses, written=written)

    async def config_map(self, namespace: str, name: str) -> ConfigMapContent | None:
        if (namespace, name) != ("mail", "held"):
            return None
        return ConfigMapContent(name, "uid", "8", dict(self.data))


def reason_of(found: object) -> Reason:
    assert isinstance(found, Verdict)
    assert (found.type, found.failed) == (ConditionType.REFERENCES_RESOLVED, True)
    return found.reason


async def read(sources: Sources, name: str = "held", **more: Any) -> Credentials | Verdict:
    world = cast("World", sources)
    keys = {key: more.pop(key) for key in ("username_key", "password_key") if key in more}
    reference = CredentialsReference(name=name, **keys)
    return await references.credentials(
        world, "mail", reference, "spec.credentialsRef", "smtp.example.com", **more
    )


async def test_a_login_comes_with_the_version_of_its_secret() -> None:
    found = await read(Sources())
    assert isinstance(found, Credentials)
    assert (found.login.username, found.login.password.reveal()) == ("relay", "p")
    assert (found.login.secret, found.written) == ("held", Written("held", "password", NOW))
    (resolved,) = found.resolved
    assert (resolved.kind, resolved.name, resolved.resource_version) == ("Secret", "held", "7")


async def test_two_logins_of_one_secret_are_two_versions() -> None:
    sources = Sources({**LOGIN, "user": "other", "pass": "q"})
    usual, spelled = await read(sources), await read(sources, password_key="password")
    other = await read(sources, username_key="user", password_key="pass")
    assert isinstance(usual, Credentials)
    assert isinstance(spelled, Credentials)
    assert isinstance(other, Credentials)
    assert usual.version == spelled.version != other.version
    assert other.login.username == "other"


@pytest.mark.parametrize(
    ("sources", "arguments", "reason"),
    [
        (Sources(), {"name": "gone"}, Reason.SECRET_NOT_FOUND),
        (Sources({"username": "relay"}), {}, Reason.SECRET_KEY_MISSING),
        (Sources({"password": "p"}), {}, Reason.SECRET_KEY_MISSING),
        (Sources(allowed=("smtp.example.net",)), {}, Reason.REFERENCE_NOT_PERMITTED),
        (Sources(allowed=()), {}, Reason.REFERENCE_NOT_PERMITTED),
        # Of a host that another namespace chooses, silence is no consent.
        (Sources(), {"expressly": True}, Reason.REFERENCE_NOT_PERMITTED),
    ],
)
async def test_credentials_that_may_not_be_used(
    sources: Sources, arguments: dict[str, Any], reason: Reason
) -> None:
    found = await read(sources, **arguments)
    assert reason_of(found) is reason
    assert isinstance(found, Verdict)
    assert f"Secret {arguments.get('name', 'held')} (spec.credentialsRef)" in found.message


@pytest.mark.parametrize(
    ("sources", "arguments", "fix"),
    [
        (Sources({"username": "relay"}), {}, "Add key password of Secret held."),
        (Sources({"password": "p"}), {}, "Add key username of Secret held."),
        (Sources({**LOGIN, "password": ""}), {}, "Set key password of Secret held."),
        (
            Sources({**LOGIN, "password": "a\nb"}),
            {},
            "Take the control character, perhaps a line end, out of key password of Secret held.",
        ),
        (
            Sources(allowed=("smtp.example.net",)),
            {},
            "Add smtp.example.com to the annotation postroom.dev/allowed-hosts of Secret held.",
        ),
        # Named alone, it would take the Secret from where it goes now.
        (
            Sources(),
            {"expressly": True},
            "Add smtp.example.com and all others that it is for to the annotation "
            "postroom.dev/allowed-hosts of Secret held.",
        ),
    ],
)
async def test_the_one_thing_to_change_is_named(
    sources: Sources, arguments: dict[str, Any], fix: str
) -> None:
    found = await read(sources, **arguments)
    assert isinstance(found, Verdict)
    assert found.fix == fix


@pytest.mark.parametrize(
    ("kind", "uses", "data", "fix"),
    [
        ("ConfigMap", (), {}, "Set key k of ConfigMap held."),
        (
            "ConfigMap",
            (),
            {"k": "x"},
            "Put the public key (base64 or PEM) under key k of ConfigMap held.",
        ),
        ("Secret", ("dkim-public-key",), {}, "Set key k of Secret held."),
        (
            "Secret",
            (),
            {"k": "x"},
            "Put the public key into a ConfigMap and name that in spec.dkim[0].publicKeyRef, or "
            "have the Secret's owner annotate Secret held postroom.dev/allow: dkim-public-key.",
        ),
    ],
)
async def test_the_one_thing_to_change_of_a_public_key_is_named(
    kind: Any, uses: tuple[str, ...], data: dict[str, str], fix: str
) -> None:
    world = cast("World", Sources(data, uses=frozenset(uses)))
    reference = PublicKeyReference(kind=kind, name="held", key="k")
    found = await references.public_key(world, "mail", reference, "spec.dkim[0].publicKeyRef")
    assert isinstance(found, Verdict)
    assert found.fix == fix


@pytest.mark.parametrize("expressly", [True, False])
async def test_a_secret_that_names_the_host_may_go_there(expressly: bool) -> None:
    found = await read(Sources(allowed=("*.example.com",)), expressly=expressly)
    assert isinstance(found, Credentials)


async def test_the_username_that_a_provider_fixes_needs_no_key() -> None:
    found = await read(Sources({"password": "p"}), username="apikey")
    assert isinstance(found, Credentials)
    assert found.login.username == "apikey"


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
async def test_a_bundle_is_read_from_either_kind(kind: Any) -> None:
    async def bundle(name: str, **data: str) -> Text | Verdict:
        reference = CABundleReference(kind=kind, name=name)
        world = cast("World", Sources(data))
        return await references.ca_bundle(world, "mail", reference, "spec.trust.caBundleRef")

    found = await bundle("held", **{"ca.crt": "PEM"})
    assert isinstance(found, Text)
    version = "7" if kind == "Secret" else "8"
    assert (found.value, found.resolved.kind, found.resolved.resource_version) == (
        "PEM",
        kind,
        version,
    )
    is_secret = kind == "Secret"
    missing = Reason.SECRET_NOT_FOUND if is_secret else Reason.CONFIG_MAP_NOT_FOUND
    assert reason_of(await bundle("gone")) is missing
    empty = Reason.SECRET_KEY_MISSING if is_secret else Reason.CONFIG_MAP_KEY_MISSING
    assert reason_of(await bundle("held")) is empty
    assert reason_of(await bundle("held", **{"ca.crt": ""})) is empty


@pytest.mark.parametrize(
    ("kind", "uses", "value", "reason"),
    [
        ("Secret", {"dkim-public-key"}, RSA, None),
        ("Secret", set(), RSA, Reason.REFERENCE_NOT_PERMITTED),
        ("Secret", {"binding"}, RSA, Reason.REFERENCE_NOT_PERMITTED),
        ("ConfigMap", set(), RSA, None),
        ("ConfigMap", set(), "canary", Reason.PUBLIC_KEY_INVALID),
        ("Secret", {"dkim-public-key"}, "canary", Reason.PUBLIC_KEY_INVALID),
    ],
)
async def test_of_a_public_key_only_what_is_public_and_a_key_is_told(
    kind: Any, uses: set[str], value: str, reason: Reason | None
) -> None:
    world = cast("World", Sources({"key": value}, uses=frozenset(uses)))
    reference = PublicKeyReference(kind=kind, name="held", key="key")
    found = await references.public_key(world, "mail", reference, "spec.dkim[0].publicKeyRef")
    if reason is None:
        assert isinstance(found, Text)
        assert found.value == value
    else:
        assert reason_of(found) is reason
        assert value not in str(found)


def test_what_another_namespace_refers_to_is_not_named() -> None:
    def look_up(owner: str | None) -> str:
        with pytest.raises(LookupUnavailable) as raised, references.unnamed(owner):
            raise LookupUnavailable("Secret canary could not be read.")
        return raised.value.sentence

    assert "canary" in look_up(None)
    told = look_up("MailServer relays/smtp")
    assert "canary" not in told
    assert "MailServer relays/smtp" in told


def test_references_are_written_with_their_namespace_where_it_is_another() -> None:
    assert references.reference_to("Secret", "held") == "Secret/held"
    assert references.reference_to("Secret", "held", "relays") == "relays:Secret/held"
