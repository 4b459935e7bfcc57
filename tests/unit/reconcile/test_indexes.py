# SPDX-License-Identifier: Apache-2.0
"""Indexes: under which ones an object stands, and what can be told from an index alone."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.names import Kind
from postroom.api.resource import parse, parse_spec
from postroom.reconcile import indexes

ACCOUNT = {"address": "Support@example.com"}
ALWAYS = {"address=support@example.com", "sends=example.com"}
OTHER = {"receiverRef": {"name": "archive"}}


def indexes_of(kind: Kind, **spec: Any) -> set[str]:
    return set(indexes.indexes_of(parse_spec(kind, spec)))


def test_domains_stand_under_their_name_and_servers_under_being_the_default() -> None:
    assert indexes_of(Kind.SENDING_DOMAIN, domain="example.com") == {"domain=example.com"}
    assert indexes_of(Kind.MAIL_SERVER, host="smtp.example.com") == set()
    assert indexes_of(Kind.MAIL_SERVER, host="smtp.example.com", default=True) == {"default=true"}


@pytest.mark.parametrize(
    ("spec", "more"),
    [
        ({}, {"server="}),
        ({"serverRef": {"name": "smtp"}}, {"server=smtp"}),
        ({"serverRef": {"name": "smtp", "namespace": "relays"}}, {"server=relays/smtp"}),
        ({"default": True}, {"server=", "default=true"}),
        ({"suspend": True}, {"server=", "suspend=true"}),
        ({"connection": "Disconnected"}, {"server=", "connection=Disconnected"}),
        ({"roundTrip": OTHER}, {"server=", "receiver=archive"}),
        ({"forwarding": OTHER}, {"server=", "forwarding=archive"}),
        (
            {"fallbackSender": "No-Reply@relay.example.net"},
            {"server=", "fallback=no-reply@relay.example.net", "sends=relay.example.net"},
        ),
        ({"consumer": {"name": "shop"}}, {"server=", "consumer=shop"}),
        (
            {"identities": [{"address": "Sales@example.com"}]},
            {"server=", "identity=sales@example.com"},
        ),
        ({"identities": [{"address": "sales@example.com", "enabled": False}]}, {"server="}),
    ],
)
def test_accounts_stand_under_all_that_they_use(spec: dict[str, Any], more: set[str]) -> None:
    assert indexes_of(Kind.EMAIL_ACCOUNT, **ACCOUNT, **spec) == ALWAYS | more


def test_an_account_at_its_provider_uses_no_server() -> None:
    spec = {"address": "a@gmail.com", "provider": "Gmail", "credentialsRef": {"name": "mailbox"}}
    assert indexes_of(Kind.EMAIL_ACCOUNT, **spec) == {"address=a@gmail.com", "sends=gmail.com"}


@pytest.mark.parametrize(
    ("spec", "is_bulk"),
    [
        ({}, False),
        ({"sendLimits": {"daily": 4999}}, False),
        ({"sendLimits": {"daily": 5000}}, True),
        ({"sendLimits": {"hourly": 5000}}, False),
        ({"purpose": "NewBusiness"}, True),
        ({"purpose": "NewBusiness", "suspend": True}, False),
    ],
)
def test_bulk_is_by_purpose_or_from_5000_a_day(spec: dict[str, Any], is_bulk: bool) -> None:
    found = indexes_of(Kind.EMAIL_ACCOUNT, **ACCOUNT, **spec)
    assert (indexes.by_bulk_of("example.com") in found) is is_bulk


def test_domain_and_address_are_read_from_indexes() -> None:
    found = sorted(indexes_of(Kind.EMAIL_ACCOUNT, **ACCOUNT))
    assert indexes.address_among(found) == "support@example.com"
    assert indexes.domain_among(found) is None
    assert indexes.domain_among(["default=true", "domain=example.com"]) == "example.com"
    assert indexes.address_among(["identity=a@example.com"]) is None


@pytest.mark.parametrize(
    ("mark", "at_rest"),
    [(indexes.SUSPENDED, True), (indexes.DISCONNECTED, True), (indexes.DEFAULT, False)],
)
def test_who_is_at_rest(mark: str, at_rest: bool) -> None:
    assert indexes.is_at_rest(["address=a@example.com", mark]) is at_rest


def test_an_account_is_known_by_its_addresses() -> None:
    known = {"address=a@example.com", "identity=b@example.com"}
    assert indexes.known_by({*known, "server=smtp", "consumer=shop"}) == known


@pytest.mark.parametrize("namespace", [None, "relays"])
@pytest.mark.parametrize("name", ["smtp", "a-1"])
def test_the_namespace_of_a_server_is_read_back(name: str, namespace: str | None) -> None:
    assert indexes.namespace_in(indexes.by_server(name, namespace)) == namespace


def test_only_servers_have_a_namespace() -> None:
    assert indexes.namespace_in(indexes.by_consumer("relays/shop")) is None
    assert indexes.namespace_in(indexes.by_server(None)) is None


def test_which_indexes_only_tell_who_uses_an_object() -> None:
    uses = [
        indexes.by_server("smtp"),
        indexes.by_receiver("archive"),
        indexes.by_forwarding("archive"),
        indexes.by_fallback("a@example.com"),
        indexes.by_sender("example.com"),
    ]
    others = [
        indexes.DEFAULT,
        indexes.SUSPENDED,
        indexes.by_address("a@example.com"),
        indexes.by_identity("a@example.com"),
        indexes.by_consumer("shop"),
        indexes.by_domain("example.com"),
        indexes.by_bulk_of("example.com"),
    ]
    assert all(map(indexes.tells_use, uses))
    assert not any(map(indexes.tells_use, others))
    assert len({*uses, *others}) == len(uses) + len(others)


def test_the_older_is_less_and_of_the_same_age_the_name_decides() -> None:
    def made(name: str, created: str) -> Any:
        metadata = {"name": name, "namespace": "mail", "creationTimestamp": created}
        return parse(Kind.EMAIL_ACCOUNT, {"metadata": metadata, "spec": ACCOUNT})

    early, late = "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"
    oldest, older, younger = made("z", early), made("a", late), made("b", late)
    found = sorted([younger, older, oldest], key=indexes.age)
    assert found == [oldest, older, younger]


@pytest.mark.parametrize(
    ("kind", "spec", "found"),
    [
        (Kind.MAIL_SERVER, {"host": "smtp.example.com", "default": True}, {"default=true"}),
        (Kind.MAIL_SERVER, {"host": "no host", "default": True}, {"unusable:default=true"}),
        (Kind.MAIL_SERVER, {"host": "no host", "default": "yes"}, set()),
        (Kind.MAIL_SERVER, {"host": "no host"}, set()),
        (Kind.SENDING_DOMAIN, {"domain": "Example.com", "x": 1}, {"unusable:domain=example.com"}),
        (Kind.SENDING_DOMAIN, {"domain": "no domain"}, set()),
        (Kind.SENDING_DOMAIN, {"domain": ["example.com"]}, set()),
        (Kind.SENDING_DOMAIN, {}, set()),
        (Kind.SENDING_DOMAIN, None, set()),
        (Kind.EMAIL_ACCOUNT, {"address": "nobody"}, set()),
    ],
)
def test_an_invalid_spec_stands_where_it_says_what_others_look_for(
    kind: Kind, spec: Any, found: set[str]
) -> None:
    assert indexes.indexes_in(kind, spec) == found
    assert indexes.domain_among(found) is None
