# SPDX-License-Identifier: Apache-2.0
"""Domains out of use, by the names of their name servers: facts of the table, and mere likeness."""

from __future__ import annotations

import pytest

from postroom.dns.answers import Outcome
from postroom.dns.diagnosis.parking import Disuse, disuse, parking_nameservers, seems_disused
from postroom.dns.diagnosis.zone import ZoneView, root_cause
from unit.dns.zone_looks import APEX, ZONE, both, delegated, root_code


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("ns1.sedoparking.com", "ns2.sedoparking.com"), Disuse.PARKING),
        (("ns1.sedoparking.com", "ns1.host.net"), None),
        (("ns1.domainhasexpired.com", "ns1.host.net"), Disuse.EXPIRED),
        (("failed-whois-verification.namecheap.com", "x.namecheap.com"), Disuse.HELD),
        (("ns1.pendingrenewaldeletion.com", "ns2.pendingrenewaldeletion.com"), Disuse.EXPIRED),
        (("ns1.renewyourname.net", "ns2.renewyourname.net"), Disuse.EXPIRED),
        (("ns1.renewyourdomain.net", "ns2.renewyourdomain.net"), Disuse.EXPIRED),
        (("ns1.renewyourdomain.at.domainname.com",), Disuse.EXPIRED),
        (("01.onamae-expired.com", "02.onamae-expired.com"), Disuse.EXPIRED),
        (("expired1.namebrightdns.com", "expired2.namebrightdns.com"), Disuse.EXPIRED),
        (("expirens3.hichina.com", "expirens4.hichina.com"), Disuse.EXPIRED),
        (("verify-contact-details.namecheap.com",), Disuse.HELD),
        # The registrars' own DNS serves domains that are in use.
        (("nsg1.namebrightdns.com", "nsg2.namebrightdns.com"), None),
        (("dns7.hichina.com", "dns8.hichina.com"), None),
        (("dns1.registrar-servers.com",), None),
        (("ns1.host.net",), None),
        ((), None),
    ],
)
def test_domains_out_of_use(names: tuple[str, ...], why: Disuse | None) -> None:
    assert disuse(names) is why
    view = ZoneView(APEX, ZONE, both(), delegation=delegated(*names)) if names else None
    if view is not None:
        assert (root_code(view) == "DOMAIN_PARKED") is (why is not None)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("ns1.expired-names.net", "ns2.expired-names.net"), Disuse.EXPIRED),
        (("expiredns1.registrar.net", "expiredns2.registrar.net"), Disuse.EXPIRED),
        (("ns1.renewyouraddress.org",), Disuse.EXPIRED),
        (("ns1.pendingdelete.net",), Disuse.EXPIRED),
        (("ns1.domain-expired.net",), Disuse.EXPIRED),
        (("ns1.whois-verification.net",), Disuse.HELD),
        (("ns1.expired-names.net", "ns1.host.net"), None),
        (("ns1.unexpired.net",), None),
        (("ns1.experience.net",), None),
        (("ns1.renewables.net",), None),
        (("ns1.verify.net",), None),
    ],
)
def test_names_like_those_of_disused_domains_take_no_other_finding_away(
    names: tuple[str, ...], why: Disuse | None
) -> None:
    """A likeness is told first, as what it is, but proves nothing."""
    assert seems_disused(names) is why
    view = ZoneView(APEX, ZONE, both(), delegation=delegated(*names))
    root = root_cause(view, {Outcome.FOUND})
    if why is None:
        assert root is None or root.finding.code != "DOMAIN_PARKED"
        return
    assert root is not None
    assert (root.finding.code, root.moot) == ("DOMAIN_PARKED", frozenset())
    assert "named like" in root.finding.message


def test_every_parking_row_has_a_source() -> None:
    assert all(row.source.startswith("https://") for row in parking_nameservers().values())
