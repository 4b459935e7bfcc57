# SPDX-License-Identifier: Apache-2.0
"""What is known of leaked keys: it stays in status, over looks, edits, restarts and references."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.sendingdomain import COMPROMISED_LIMIT, RecordState, SendingDomainStatus
from postroom.dns import dkim
from postroom.reconcile.domain.records import compromised_keys, status_fields
from unit.dns.domains import OTHER_RSA, RSA
from unit.dns.verifying.test_compromised import KEY, PUBLIC, SILENT, TELLING
from unit.reconcile.domain_worlds import BLIND, GOOD, report
from unit.reconcile.tenants import Tenants, said, verdict

FINGERPRINT = dkim.fingerprint(KEY)
PLACE = "s1._domainkey.mail.example"
VERIFIED = ConditionType.DKIM_VERIFIED


def domain(tenants: Tenants, *keys: str) -> SendingDomainStatus:
    """Look at a domain whose selectors are s1, s2 and so on, with these keys."""
    made = [{"selector": f"s{at}", "publicKey": one} for at, one in enumerate(keys, 1)]
    key = tenants.add("a", domain="mail.example", dkim=made, require=["DKIM"])
    status = tenants.look(key)
    assert isinstance(status, SendingDomainStatus)
    return status


@pytest.mark.parametrize("form", ["PKCS#8", "JWK", "encrypted PKCS#8"])
def test_a_leaked_key_stays_compromised_over_looks_edits_and_restarts(form: str) -> None:
    tenants = Tenants()
    tenants.publish(PLACE, {**TELLING, **SILENT}[form])
    assert domain(tenants, PUBLIC).compromised_keys == [FINGERPRINT]
    tenants.zone.records.pop((PLACE, "TXT"))
    later = domain(tenants, PUBLIC)
    assert verdict(later, VERIFIED) == ("False", "KeyCompromised")
    assert PUBLIC not in said(later)
    tenants.publish(PLACE, f"v=DKIM1; k=rsa; p={PUBLIC}")
    assert verdict(domain(tenants, PUBLIC), VERIFIED) == ("False", "KeyCompromised")
    tenants.publish("s2._domainkey.mail.example", f"v=DKIM1; k=rsa; p={PUBLIC}")
    assert verdict(domain(tenants, RSA, PUBLIC), VERIFIED)[0] == "False"
    tenants.zone.records.pop((PLACE, "TXT"))
    tenants.publish(PLACE, f"v=DKIM1; k=rsa; p={OTHER_RSA}")
    sound = domain(tenants, OTHER_RSA)
    assert verdict(sound, VERIFIED) == ("True", "RecordsMatched")
    assert sound.compromised_keys == [FINGERPRINT]


@pytest.mark.parametrize("same_generation", [True, False])
@pytest.mark.parametrize("states", [GOOD, BLIND])
def test_nothing_takes_a_key_off_the_list(
    states: dict[str, RecordState], same_generation: bool
) -> None:
    before = SendingDomainStatus(compromised_keys=[FINGERPRINT])
    found = replace(report(states), compromised=("b" * 64, FINGERPRINT))
    fields = status_fields(found, before, {}, same_generation=same_generation)
    assert fields["compromised_keys"] == [FINGERPRINT, "b" * 64]


def test_the_list_is_bounded_and_the_newest_stay() -> None:
    many = [f"{number:064x}" for number in range(COMPROMISED_LIMIT)]
    before = SendingDomainStatus(compromised_keys=many)
    assert compromised_keys(before, [FINGERPRINT]) == [*many[1:], FINGERPRINT]
    assert compromised_keys(before) == many
