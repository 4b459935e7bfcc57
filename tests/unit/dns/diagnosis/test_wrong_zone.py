# SPDX-License-Identifier: Apache-2.0
"""Records in the wrong zone. Covers: delegations below the domain; moved domains."""

from __future__ import annotations

from unit.dns.diagnosis_looks import TOKEN, codes, root

SOA = "ns01.domaincontrol.com. hostmaster.example.com. 1 7200 900 1209600 300"
CLOUDFLARE = ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")


def test_a_delegation_of_the_keys_is_told_with_the_name_as_it_is_typed_there() -> None:
    there = {("_domainkey.example.com", "NS"): ["ns1.other.net"]}
    cause = root("dkim-s1", there)
    assert cause.code == "SUBDOMAIN_DELEGATED"
    assert "ns1.other.net" in cause.message
    assert cause.fix is not None
    assert cause.fix.host_label == "s1"


def test_an_intended_delegation_is_no_mistake() -> None:
    there = {("_domainkey.example.com", "NS"): ["ns1.other.net"]}
    assert "SUBDOMAIN_DELEGATED" not in codes("dkim-s1", there, dkimDelegation=["ns1.other.net"])


def test_a_moved_domain_is_told_where_nothing_is_there() -> None:
    there = {("example.com", "SOA"): [SOA]}
    cause = root("dmarc", there, nameservers=CLOUDFLARE)
    assert cause.code == "WRONG_DNS_HOST"
    assert "GoDaddy" in cause.message
    assert "Cloudflare" in cause.message


def test_a_moved_domain_is_not_told_where_the_user_found_the_way() -> None:
    there = {("example.com", "SOA"): [SOA], ("_check.example.com", "TXT"): [TOKEN]}
    assert codes("dmarc", there, nameservers=CLOUDFLARE) == ["DMARC_MISSING"]
