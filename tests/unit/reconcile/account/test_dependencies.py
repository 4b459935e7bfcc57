# SPDX-License-Identifier: Apache-2.0
"""What an account depends on: what is found, what is missing, and which changes bring it back."""

from __future__ import annotations

from typing import Any, cast

import pytest

from postroom.api.conditions import ConditionStatus
from postroom.api.names import Key, Kind
from postroom.api.resource import EmailAccount, parse
from postroom.reconcile.account.dependencies import (
    Dependencies,
    domain_of,
    find_dependencies,
    references_of,
)
from postroom.reconcile.world import World
from unit.reconcile.account.test_relations import ADDRESS, DOMAIN, FALLBACK, RELAY_ADDRESS, Mail
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, SERVER

OTHER = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "other")
TRUE, FALSE, UNKNOWN = ConditionStatus


def account(mail: Mail) -> EmailAccount:
    return cast("EmailAccount", parse(ACCOUNT.kind, mail.objects[ACCOUNT]))


async def found(mail: Mail) -> Dependencies:
    return await find_dependencies(account(mail), cast("World", mail))


async def problem_of(mail: Mail) -> str | None:
    problem = (await found(mail)).problem
    return problem.reason.value if problem is not None else None


async def test_server_and_domain_are_found_and_told_in_status() -> None:
    mail = Mail()
    mail.domain()
    dependencies = await found(mail)
    assert dependencies.problem is None
    assert (dependencies.server_state, dependencies.domain_state) == (TRUE, TRUE)
    assert (dependencies.server_namespace, dependencies.out_of_sight) == (None, False)
    assert [(each.kind, each.name) for each in dependencies.resolved] == [
        ("MailServer", SERVER.name),
        ("SendingDomain", DOMAIN.name),
    ]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({}, None),
        ({"domainPolicy": "Required"}, "SendingDomainNotFound"),
        ({"serverRef": {"name": "gone"}}, "MailServerNotFound"),
        ({"roundTrip": {"receiverRef": {"name": "gone"}}}, "EmailAccountNotFound"),
        ({"forwarding": {"receiverRef": {"name": "gone"}}}, "EmailAccountNotFound"),
    ],
)
async def test_the_first_reference_that_leads_nowhere_is_the_problem(
    spec: dict[str, Any], problem: str | None
) -> None:
    assert await problem_of(Mail(**spec)) == problem


@pytest.mark.parametrize(
    ("field", "there", "spec"),
    [
        ("spec.serverRef", SERVER, {"serverRef": {"name": SERVER.name}}),
        ("spec.roundTrip.receiverRef", OTHER, {"roundTrip": {"receiverRef": {"name": "other"}}}),
        ("spec.forwarding.receiverRef", OTHER, {"forwarding": {"receiverRef": {"name": "other"}}}),
    ],
)
async def test_what_is_there_and_cannot_be_understood_is_not_called_missing(
    field: str, there: Key, spec: dict[str, Any]
) -> None:
    mail = Mail(**spec)
    mail.add(there, host="not a host", address="nobody")
    problem = (await found(mail)).problem
    assert problem is not None
    assert problem.reason.value == "ReferenceInvalid"
    assert f"The spec of {there.kind.value} {there.name} ({field}) is invalid" in problem.message
    del mail.objects[there]
    assert "does not exist" in str((await found(mail)).problem)


async def test_a_default_that_cannot_be_understood_is_not_called_missing() -> None:
    mail = Mail()
    del mail.objects[ACCOUNT]["spec"]["serverRef"]
    mail.add(SERVER, host="not a host", default=True)
    dependencies = await found(mail)
    assert dependencies.problem is not None
    assert dependencies.problem.reason.value == "ReferenceInvalid"
    assert f"MailServer {SERVER.name} (the default of this" in dependencies.problem.message
    assert "MailServer/unusable:default=true" in dependencies.references
    mail.add(SERVER, host="not a host")
    assert await problem_of(mail) == "NoDefault"
    # Another one that can be used is.
    mail.add(SERVER, host="not a host", default=True)
    mail.add(Key(Kind.MAIL_SERVER, NAMESPACE, "good"), host="smtp.example.com", default=True)
    assert await problem_of(mail) is None


@pytest.mark.parametrize(
    ("spec", "stood_on_it", "problem"),
    [
        ({"domainPolicy": "Required"}, False, "ReferenceInvalid"),
        ({"fallbackSender": RELAY_ADDRESS}, False, "ReferenceInvalid"),
        ({}, True, "ReferenceInvalid"),
        ({}, False, None),
    ],
)
async def test_a_domain_that_cannot_be_understood_is_not_called_missing(
    spec: dict[str, Any], stood_on_it: bool, problem: str | None
) -> None:
    mail = Mail(**spec)
    mail.add(DOMAIN, domain=f"{domain_of(ADDRESS).upper()}.", dkim="none")
    if stood_on_it:
        kept = [{"kind": "SendingDomain", "name": DOMAIN.name}]
        mail.objects[ACCOUNT]["status"] = {"resolvedRefs": kept}
    dependencies = await found(mail)
    assert await problem_of(mail) == problem
    if problem is None:
        return
    assert f"The spec of SendingDomain {DOMAIN.name} is invalid" in str(dependencies.missed_domain)
    (missed,) = [each for each in dependencies.findings if each.subject == "domain"]
    # Nothing is to be created in its place.
    assert (missed.code, missed.fix) == ("REFERENCE_INVALID", None)
    mark = f"SendingDomain/unusable:domain={domain_of(ADDRESS)}"
    assert mark in references_of(account(mail).spec)
    mail.add(DOMAIN, domain="other.example", dkim="none")
    expected = "ReferenceInvalid" if stood_on_it else "SendingDomainNotFound"
    assert await problem_of(mail) == expected


async def test_a_fallback_whose_domain_cannot_be_understood_is_told_so() -> None:
    mail = Mail(fallbackSender=RELAY_ADDRESS)
    mail.domain()
    mail.add(FALLBACK, domain=domain_of(RELAY_ADDRESS), dkim="none")
    (told,) = [each for each in (await found(mail)).findings if each.subject == "fallbackSender"]
    assert f"The spec of SendingDomain {FALLBACK.name} is invalid" in told.message
    assert told.fix is None


@pytest.mark.parametrize(
    ("created", "problem"),
    [("2026-11-01T00:00:00Z", "DuplicateAddress"), ("2026-11-03T00:00:00Z", None)],
)
async def test_the_older_account_keeps_the_address(created: str, problem: str | None) -> None:
    mail = Mail()
    mail.objects[ACCOUNT]["metadata"]["creationTimestamp"] = "2026-11-02T00:00:00Z"
    twin = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "twin")
    mail.add(twin, **{**mail.spec, "consumer": {"name": "shop"}})
    mail.objects[twin]["metadata"]["creationTimestamp"] = created
    dependencies = await found(mail)
    assert dependencies.has_address is (problem is None)
    if problem is not None:
        assert dependencies.problem is not None
        assert dependencies.problem.message == (
            f"EmailAccount twin (for the application shop) already stands for {ADDRESS}: remove "
            "one of the two."
        )


async def test_a_domain_that_the_account_stood_on_is_missed_for_as_long_as_it_exists() -> None:
    mail = Mail()
    kept = [{"kind": "SendingDomain", "name": DOMAIN.name}]
    mail.objects[ACCOUNT]["status"] = {"resolvedRefs": kept}
    dependencies = await found(mail)
    assert dependencies.problem is not None
    assert dependencies.problem.reason.value == "SendingDomainNotFound"
    assert [each.name for each in dependencies.resolved] == [SERVER.name, DOMAIN.name]


@pytest.mark.parametrize(
    ("relay", "state"), [(None, FALSE), ("True", TRUE), ("False", FALSE), ("Unknown", UNKNOWN)]
)
async def test_the_fallback_is_judged_by_its_own_domain(
    relay: str | None, state: ConditionStatus
) -> None:
    mail = Mail(fallbackSender=RELAY_ADDRESS)
    mail.domain()
    if relay is not None:
        mail.domain(FALLBACK, "relay.example.net", relay)
    dependencies = await found(mail)
    assert dependencies.fallback_state is state
    unverified = [finding.subject for finding in dependencies.findings]
    assert ("fallbackSender" in unverified) is (relay is None)


def test_a_domain_that_another_namespace_has_is_not_this_ones() -> None:
    mail = Mail()
    mail.domain()
    mail.domain(FALLBACK, "relay.example.net")
    domain, fallback = (
        cast("Any", parse(key.kind, mail.objects[key])) for key in (DOMAIN, FALLBACK)
    )
    held = Dependencies(None, domain, None, (), frozenset(), fallback_domain=fallback)
    assert (held.domain_state, held.fallback_state) == (TRUE, TRUE)
    claimed = Dependencies(
        None,
        domain,
        None,
        (),
        frozenset(),
        fallback_domain=fallback,
        domain_claimed=True,
        fallback_claimed=True,
    )
    assert (claimed.domain_state, claimed.fallback_state) == (FALSE, FALSE)
    assert not claimed.domain_degraded


@pytest.mark.parametrize(
    ("spec", "reference"),
    [
        ({}, f"EmailAccount/address={ADDRESS}"),
        ({"default": True}, "EmailAccount/default=true"),
        ({"roundTrip": {"receiverRef": {"name": "reader"}}}, "EmailAccount/reader"),
        ({"forwarding": {"receiverRef": {"name": "reader"}}}, "EmailAccount/reader"),
        ({}, "SendingDomain/domain=send.example.com"),
        ({"fallbackSender": RELAY_ADDRESS}, "SendingDomain/domain=relay.example.net"),
        (
            {"identities": [{"address": "a@other.example"}], "domainPolicy": "Required"},
            "SendingDomain/domain=other.example",
        ),
    ],
)
def test_a_change_of_what_it_stands_on_brings_it_back(spec: dict[str, Any], reference: str) -> None:
    references = references_of(account(Mail(**spec)).spec)
    assert reference in references
    if spec:
        assert reference not in references_of(account(Mail()).spec)


@pytest.mark.parametrize(
    ("address", "domain"),
    [("a@Example.com", "example.com"), ('"a@b"@example.com', "example.com")],
)
def test_the_domain_of_an_address_is_behind_its_last_sign(address: str, domain: str) -> None:
    assert domain_of(address) == domain
