# SPDX-License-Identifier: Apache-2.0
"""`EmailAccount`: what contradicts itself in a spec, and what follows from one."""

from __future__ import annotations

from typing import Any, cast

import pytest

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.names import Kind
from postroom.api.resource import InvalidSpec, parse_spec

LOGIN = {"credentialsRef": {"name": "login"}}
SERVER = {"serverRef": {"name": "smtp"}}
IMAP = {"imap": {"host": "imap.example.com"}}
TOKEN = {
    "oauth": {
        "provider": "Google",
        "clientID": "id",
        "refreshTokenRef": {"name": "oauth", "key": "refreshToken"},
    }
}


def spec(**fields: Any) -> EmailAccountSpec:
    raw = {"address": "support@example.com", **fields}
    return cast("EmailAccountSpec", parse_spec(Kind.EMAIL_ACCOUNT, raw))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"parameters": {"region": "x"}}, "parameters must come with provider"),
        ({"imap": {}, **LOGIN}, "imap.host must be set where imap is, unless provider is"),
        ({"provider": "Gmail"}, "credentialsRef must be set where provider is"),
        ({**LOGIN, **TOKEN}, "oauth may not be set beside credentialsRef"),
        (IMAP, "credentialsRef must be set where imap is"),
        ({"identities": [{"address": "a@example.com", "type": "Primary"}]}, "identities must have"),
    ],
)
def test_a_spec_that_contradicts_itself_is_one_sentence(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSpec) as raised:
        spec(**fields)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"provider": "Gmail", **LOGIN},
        {"provider": "Gmail", **TOKEN},
        {"provider": "Gmail", **SERVER},
        {"provider": "Gmail", "imap": {}, **LOGIN},
        {**IMAP, **LOGIN},
        {**IMAP, **TOKEN},
        {**IMAP, **SERVER},
        {"imap": {"host": "imap.example.com", "credentialsRef": {"name": "other"}}},
    ],
)
def test_what_fits_together_is_taken(fields: dict[str, Any]) -> None:
    assert spec(**fields)


@pytest.mark.parametrize(
    ("name", "fields", "value"),
    [
        ("disconnected", {}, False),
        ("disconnected", {"connection": "Disconnected"}, True),
        ("at_rest", {}, False),
        ("at_rest", {"suspend": True}, True),
        ("at_rest", {"connection": "Disconnected"}, True),
        ("signs_in", {}, False),
        ("signs_in", LOGIN, True),
        ("signs_in", TOKEN, True),
        ("at_provider", SERVER, False),
        ("at_provider", {"provider": "Gmail", **LOGIN}, True),
        ("at_provider", {"provider": "Gmail", **SERVER}, False),
        ("sends_messages", {"roundTrip": {"enabled": False}}, False),
        ("sends_messages", {"roundTrip": {"enabled": True}}, True),
        ("sends_messages", {"forwarding": {"receiverRef": {"name": "x"}}}, True),
        ("requires_domains", {}, False),
        ("requires_domains", {"domainPolicy": "Required"}, True),
        ("requires_domains", {"fallbackSender": "a@example.net"}, False),
        ("needs_domain", {}, False),
        ("needs_domain", {"domainPolicy": "Required"}, True),
        ("needs_domain", {"fallbackSender": "a@example.net"}, True),
        ("has_profile", {}, False),
        ("has_profile", {"purpose": "NewBusiness"}, True),
        ("domain", {}, "example.com"),
    ],
)
def test_what_follows_from_a_spec(name: str, fields: dict[str, Any], value: object) -> None:
    assert getattr(spec(**fields), name) == value


def test_identities_that_are_turned_off_do_not_count() -> None:
    both = [{"address": "a@example.com"}, {"address": "b@example.com", "enabled": False}]
    (enabled,) = spec(identities=both).enabled_identities
    assert enabled.address == "a@example.com"
