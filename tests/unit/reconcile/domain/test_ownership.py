# SPDX-License-Identifier: Apache-2.0
"""The operator's ownership keys: none, one, and a rotation; and tokens that are mandatory."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.conditions import ConditionType
from postroom.dns import ownership
from postroom.dns.ownership import OwnershipRules
from unit.reconcile.tenants import KEY, Tenants, said, verdict

OWNED, READY = ConditionType.OWNERSHIP_VERIFIED, ConditionType.READY
NEW = b"the operator's next key"
DOMAIN = "mail.example"
SPF = {"ip4": ["192.0.2.1"]}
TXT = {(DOMAIN, "TXT"): ["v=spf1 ip4:192.0.2.1 -all"]}


def test_without_a_key_no_token_is_offered_and_nothing_is_verified() -> None:
    tenants = Tenants(OwnershipRules(), TXT)
    domain = tenants.add("a", domain=DOMAIN, spf=SPF)
    # What anyone could compute proves nothing.
    tenants.prove("a", DOMAIN, b"")
    status = tenants.look(domain)
    assert verdict(status, OWNED) == ("Unknown", "OwnershipKeyMissing")
    assert verdict(status, READY) != ("True", "Succeeded")
    assert [finding.code for finding in status.findings] == ["OWNERSHIP_KEY_MISSING"]
    assert status.findings[0].severity == "Error"
    assert "postroom-verification" not in said(status)
    assert {record.id for record in status.records} == {"spf"}


def test_without_a_key_a_given_value_is_looked_for_as_ever() -> None:
    tenants = Tenants(OwnershipRules(), {(DOMAIN, "TXT"): [*TXT[DOMAIN, "TXT"], "p=1"]})
    domain = tenants.add("a", domain=DOMAIN, spf=SPF, ownership={"value": "p=1"})
    assert verdict(tenants.look(domain), READY) == ("True", "Succeeded")


def test_a_key_that_goes_away_is_no_failure_of_a_domain() -> None:
    tenants = Tenants(None, TXT)
    domain = tenants.add("a", domain=DOMAIN, spf=SPF)
    tenants.prove("a", DOMAIN)
    assert tenants.look(domain).verification == "Verified"
    tenants.rules = OwnershipRules()
    status = tenants.look(domain)
    assert status.verification in ("Verified", "Unknown")
    assert verdict(status, OWNED) != ("False", "RecordNotFound")


def test_where_the_key_is_elsewhere_the_token_is_not_held_against_the_domain() -> None:
    tenants = Tenants(OwnershipRules(key_elsewhere=True), TXT)
    domain = tenants.add("a", domain=DOMAIN, spf=SPF)
    status = tenants.look(domain)
    assert verdict(status, READY) == ("True", "Succeeded")
    assert verdict(status, OWNED) == ("Unknown", "OwnershipKeyMissing")
    assert [(finding.code, finding.severity) for finding in status.findings] == [
        ("OWNERSHIP_KEY_MISSING", "Info")
    ]
    assert "--ownership-key-file" in status.findings[0].message
    assert {record.id for record in status.records} == {"spf"}


@pytest.mark.parametrize(
    "spec", [{}, {"require": ["Ownership"], "spf": SPF}], ids=["nothing declared", "one required"]
)
def test_a_domain_of_which_nothing_can_be_looked_at_is_not_ready(spec: dict[str, Any]) -> None:
    tenants = Tenants(OwnershipRules(key_elsewhere=True), TXT)
    status = tenants.look(tenants.add("a", domain=DOMAIN, **spec))
    assert verdict(status, READY)[0] == "Unknown"
    assert status.verification != "Verified"
    told = {finding.code: finding for finding in status.findings}["OWNERSHIP_KEY_MISSING"]
    assert told.severity == "Error" and "Name its provider" in told.message


def test_where_the_key_is_elsewhere_and_given_the_token_is_looked_for() -> None:
    tenants = Tenants(OwnershipRules((KEY,), key_elsewhere=True), TXT)
    domain = tenants.add("a", domain=DOMAIN, spf=SPF)
    assert verdict(tenants.look(domain), READY) == ("False", "RecordNotFound")


def test_a_rotation_changes_nothing_until_the_old_key_goes() -> None:
    tenants = Tenants(None, TXT)
    domain = tenants.add("a", domain=DOMAIN, spf=SPF)
    tenants.prove("a", DOMAIN)
    assert tenants.look(domain).findings == []
    tenants.rules = OwnershipRules((NEW, KEY))
    status = tenants.look(domain)
    assert verdict(status, READY) == ("True", "Succeeded")
    record = next(one for one in status.records if one.id == "ownership")
    old, new = (ownership.challenge(key, "a", DOMAIN)[1] for key in (KEY, NEW))
    assert (record.state, record.value, record.observed) == ("Valid", new, [old])
    told = status.findings[0]
    assert (told.code, told.severity) == ("OWNERSHIP_TOKEN_EARLIER", "Info")
    assert told.fix is not None
    tenants.zone.apply(told.fix)
    assert tenants.look(domain).findings == []
    # Now the old key may go, and so may its token.
    tenants.rules = OwnershipRules((NEW,))
    assert verdict(tenants.look(domain), READY) == ("True", "Succeeded")


def test_a_changed_key_is_not_blamed_on_the_record() -> None:
    tenants = Tenants(OwnershipRules((NEW,)), TXT)
    domain = tenants.add("a", domain=DOMAIN, spf=SPF)
    tenants.prove("a", DOMAIN, KEY)
    status = tenants.look(domain)
    message = next(
        finding.message for finding in status.findings if finding.code == "OWNERSHIP_MISMATCH"
    )
    assert "with a key that the operator no longer has" in message
    fix = status.findings[0].fix
    assert fix is not None
    assert fix.remove == []  # it may be another namespace's
    tenants.zone.apply(fix)
    assert verdict(tenants.look(domain), READY) == ("True", "Succeeded")


def test_a_mandatory_token_cannot_be_left_out_or_replaced_by_a_given_value() -> None:
    rules = OwnershipRules((KEY,), token_required=True)
    tenants = Tenants(rules, {(DOMAIN, "TXT"): [*TXT[DOMAIN, "TXT"], "p=1"]})
    given = {"value": "p=1"}
    domain = tenants.add("a", domain=DOMAIN, spf=SPF, ownership=given, require=["SPF"])
    status = tenants.look(domain)
    assert verdict(status, READY) == ("False", "RecordNotFound")
    missing = next(record for record in status.records if record.state == "Missing")
    assert (missing.id, missing.required) == ("ownership-token", True)
    tenants.publish(missing.name, missing.value)
    assert verdict(tenants.look(domain), READY) == ("True", "Succeeded")


def test_a_token_at_a_host_below_does_not_stand_in_for_the_mandatory_one() -> None:
    tenants = Tenants(OwnershipRules((KEY,), token_required=True), TXT)
    domain = tenants.add("a", domain=DOMAIN, spf=SPF, ownership={"name": f"customer.{DOMAIN}"})
    status = tenants.look(domain)
    token = next(record for record in status.records if record.id == "ownership")
    assert token.name == f"customer.{DOMAIN}"
    tenants.publish(token.name, token.value)
    assert verdict(tenants.look(domain), READY) == ("False", "RecordNotFound")
    tenants.prove("a", DOMAIN)
    assert verdict(tenants.look(domain), READY) == ("True", "Succeeded")


def test_another_namespaces_token_is_no_value_to_give() -> None:
    tenants = Tenants(None, TXT)
    theirs = ownership.challenge(KEY, "b", DOMAIN)
    tenants.publish(*theirs)
    given = {"name": theirs[0], "value": theirs[1]}
    domain = tenants.add("a", domain=DOMAIN, spf=SPF, ownership=given)
    status = tenants.look(domain)
    assert verdict(status, READY) == ("False", "InvalidSpec")
    # One's own may be pinned.
    mine = ownership.challenge(KEY, "a", DOMAIN)
    tenants.publish(*mine)
    tenants.add("a", domain=DOMAIN, spf=SPF, ownership={"name": mine[0], "value": mine[1]})
    assert verdict(tenants.look(domain), READY) == ("True", "Succeeded")
