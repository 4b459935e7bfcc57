# SPDX-License-Identifier: Apache-2.0
"""An organisation's own domain for which bulk mail is declared is advised of a subdomain.

Covers: what declares it and what does not, for which domains, what the finding names, of this
namespace alone, and that the domain comes back when an account declares it.
"""

from __future__ import annotations

from typing import Any, cast

import pytest

from postroom.api.findings import Severity
from postroom.api.names import Key, Kind
from postroom.api.resource import SendingDomain, parse, parse_spec
from postroom.controller.dependants import declared
from postroom.reconcile.domain.bulk import advice
from postroom.reconcile.indexes import indexes_of
from unit.reconcile.mail_worlds import NAMESPACE, MailWorld

APEX = "example.com"
DOMAIN = Key(Kind.SENDING_DOMAIN, NAMESPACE, "apex")
#: What an account has that declares bulk mail.
BULK: list[dict[str, Any]] = [
    {"purpose": "NewBusiness"},
    {"sendLimits": {"daily": 5000}},
    {"sendLimits": {"daily": 5000}, "purpose": "Support"},
]
OTHER: list[dict[str, Any]] = [
    {},
    {"purpose": "Support"},
    {"purpose": "General", "default": True},
    {"sendLimits": {"daily": 4999}},
    {"sendLimits": {"hourly": 5000}},
    {"purpose": "NewBusiness", "suspend": True},
    {"purpose": "NewBusiness", "connection": "Disconnected"},
]


async def told(world: MailWorld, domain: str = APEX, **spec: Any) -> list[str]:
    """The messages of the advice."""
    world.add(DOMAIN, domain=domain, **spec)
    resource = cast("SendingDomain", parse(Kind.SENDING_DOMAIN, world.objects[DOMAIN]))
    found = await advice(resource, world)
    assert {(each.code, each.severity) for each in found} <= {("BULK_FROM_APEX", Severity.INFO)}
    assert all(each.fix and f"news.{domain}" in each.fix.instruction for each in found)
    return [each.message for each in found]


def with_account(
    spec: dict[str, Any], address: str = f"offers@{APEX}", namespace: str = NAMESPACE
) -> MailWorld:
    world = MailWorld()
    world.add(Key(Kind.EMAIL_ACCOUNT, namespace, "offers"), address=address, **spec)
    return world


@pytest.mark.parametrize(
    ("spec", "is_told"), [*((spec, True) for spec in BULK), *((spec, False) for spec in OTHER)]
)
async def test_an_account_declares_bulk_mail(spec: dict[str, Any], is_told: bool) -> None:
    assert bool(await told(with_account(spec))) is is_told


async def test_what_the_finding_names() -> None:
    world = with_account({"purpose": "NewBusiness"})
    assert await told(world, bulkSenderProfiles=["Gmail"]) == [
        "example.com is an organisation's own domain, and bulk mail is declared for it: in "
        "spec.bulkSenderProfiles, by EmailAccount offers (spec.purpose NewBusiness). Receivers "
        "that keep a reputation by domain count it for all mail of the domain."
    ]
    for number in range(7):
        key = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, f"a{number}")
        world.add(key, address=f"a{number}@{APEX}", sendLimits={"daily": 9000})
    (message,) = await told(world)
    assert "EmailAccount a4 (spec.sendLimits.daily), and by 3 more." in message


@pytest.mark.parametrize(
    ("domain", "is_told"),
    [
        ("example.com", True),
        ("example.co.uk", True),
        ("me.github.io", True),
        ("news.example.com", False),
        ("news.example.co.uk", False),
        ("co.uk", False),
        ("github.io", False),
    ],
)
async def test_only_an_organisations_own_domain_is_advised(domain: str, is_told: bool) -> None:
    assert bool(await told(MailWorld(), domain, bulkSenderProfiles=["Gmail"])) is is_told
    by_account = with_account({"purpose": "NewBusiness"}, f"offers@{domain}")
    assert bool(await told(by_account, domain)) is is_told


@pytest.mark.parametrize(
    ("address", "namespace"), [("a@news.example.com", NAMESPACE), (f"a@{APEX}", "elsewhere")]
)
async def test_accounts_of_other_domains_and_namespaces_say_nothing(
    address: str, namespace: str
) -> None:
    assert await told(with_account({"purpose": "NewBusiness"}, address, namespace)) == []


def test_the_domain_comes_back_when_an_account_declares_it() -> None:
    spec = parse_spec(Kind.EMAIL_ACCOUNT, {"address": f"a@{APEX}", "purpose": "NewBusiness"})
    watched = declared(Kind.SENDING_DOMAIN, {"spec": {"domain": APEX}})
    assert watched & {f"EmailAccount/{index}" for index in indexes_of(spec)}
