# SPDX-License-Identifier: Apache-2.0
"""Causes in the way to the zone as a whole: silence of all its servers, a domain that is none."""

from __future__ import annotations

import pytest

from postroom.dns.answers import Answer, Delegation, Outcome, Zone
from postroom.dns.diagnosis.zone import ZoneView
from unit.dns.zone_looks import APEX, SOA, ZONE, both, codes, delegated, failed, root_code


def test_nothing_is_said_of_a_sound_zone() -> None:
    view = ZoneView(APEX, ZONE, both(), delegation=delegated())
    assert (root_code(view), codes(view)) == (None, [])


def test_silence_of_all_says_nothing_where_the_way_may_be_blocked() -> None:
    silent = tuple(failed(name, Outcome.TIMEOUT) for name in ZONE.nameservers)
    view = ZoneView(APEX, ZONE, silent)
    assert (root_code(view), codes(view)) == (None, [])


def test_silence_of_all_is_a_cause_where_others_answer() -> None:
    silent = tuple(failed(name, Outcome.TIMEOUT) for name in ZONE.nameservers)
    assert root_code(ZoneView(APEX, ZONE, silent, delegation=delegated())) == "NS_UNREACHABLE"
    lame = tuple(failed(name, Outcome.REFUSED, "192.0.2.1") for name in ZONE.nameservers)
    assert root_code(ZoneView(APEX, ZONE, lame)) == "LAME"


@pytest.mark.parametrize("apex", ["com", "co.uk"])
def test_a_registry_that_denies_everything_has_no_such_domain(apex: str) -> None:
    view = ZoneView(f"shop.{apex}", Zone(apex, ("a.nic.example",)))
    assert root_code(view, Outcome.NX_DOMAIN) == "DOMAIN_NXDOMAIN"
    assert root_code(view, Outcome.NX_DOMAIN, Outcome.FOUND) is None


def test_missing_records_below_an_own_zone_do_not_deny_the_domain() -> None:
    view = ZoneView("mail.example.com", ZONE, both())
    assert root_code(view, Outcome.NX_DOMAIN) is None


def test_a_public_suffix_is_told() -> None:
    zone = Zone("co.uk", ("ns1.host.net",))
    view = ZoneView("co.uk", zone, delegation=Delegation("uk", zone.nameservers, None))
    assert codes(view) == ["PUBLIC_SUFFIX"]


def test_a_zone_that_cannot_be_found_is_not_missing() -> None:
    lost = Answer(SOA, Outcome.TIMEOUT)
    assert root_code(ZoneView(APEX, lost)) == "LOOKUP_FAILED"
