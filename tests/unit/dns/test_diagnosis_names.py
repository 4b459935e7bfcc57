# SPDX-License-Identifier: Apache-2.0
"""Causes in names, where no world is needed to see them.

Covers: the places of slips for any name; how many probes there are; what must not be suspected
(wildcards, records that serve another domain, keys of others); what has to be removed; delegations
and moved domains.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.findings import FixAction
from postroom.dns.answers import RecordType
from postroom.dns.diagnosis.diagnose import PROBES_LIMIT, causes, probes
from postroom.dns.diagnosis.places import places
from postroom.dns.findings import catalogue
from postroom.dns.judging.judgement import Evidence
from unit.dns.diagnosis_looks import KEY, OTHER_KEY, TOKEN, case_of, codes, root

S1, DMARC = ("s1._domainkey.example.com", "TXT"), ("_dmarc.example.com", "TXT")
POLICY = "v=DMARC1; p=quarantine"
IDS = (
    "ownership",
    "dkim-k1",
    "dkim-s1",
    "spf",
    "dmarc",
    "mx-mx.provider.net",
    "tracking",
)
_LABEL = st.from_regex(r"_?[a-z0-9]{1,12}", fullmatch=True)
_NAMES = st.lists(_LABEL, min_size=0, max_size=3)


@given(_NAMES, _NAMES, st.sampled_from([RecordType.TXT, RecordType.CNAME, RecordType.MX]))
def test_no_place_is_the_right_one(labels: list[str], above: list[str], type: RecordType) -> None:
    domain = ".".join([*above, "example", "com"])
    name = ".".join([*labels, domain])
    found = places(name, type, domain, "example.com")
    names = [one.name for one in found]
    assert name not in names
    assert len(names) == len(set(names))
    assert names == [one.name for one in sorted(found)]
    assert {one.code for one in found} <= catalogue().keys()


def test_a_name_outside_of_the_domain_has_no_places() -> None:
    assert places("_check.other.net", RecordType.TXT, "example.com", "example.com") == ()
    assert places("a.example.com", RecordType.TXT, "example.com", "other.net") == ()


@pytest.mark.parametrize("id", IDS)
def test_there_are_no_more_probes_than_allowed(id: str) -> None:
    asked = probes(case_of(id, {}), 100)
    assert asked == () or len(probes(case_of(id, {}), PROBES_LIMIT)) <= PROBES_LIMIT
    assert probes(case_of(id, {}), 0) == ()


@pytest.mark.parametrize("id", IDS)
def test_nothing_is_suspected_where_nothing_is(id: str) -> None:
    plain = codes(id, {})
    assert len(plain) == 1
    assert plain[0].endswith("_MISSING")


def test_a_valid_record_is_not_looked_into() -> None:
    assert probes(case_of("dkim-s1", {S1: [f"p={KEY}"]})) == ()


@pytest.mark.parametrize(
    ("id", "value"),
    [
        ("dkim-s1", f"p={KEY}"),
        ("dkim-s1", f"p={OTHER_KEY}"),
        ("spf", "v=spf1 include:spf.provider.net -all"),
        ("dmarc", POLICY),
        ("ownership", TOKEN),
    ],
)
def test_a_wildcard_is_no_place(id: str, value: str) -> None:
    """The test DNS has no wildcards: so it has the names that one would answer for."""
    case = case_of(id, {})
    wild = {(one.name, one.type.value): [value] for one in case.seen.answers if "TXT" in one.type}
    wild = {key: values for key, values in wild.items() if key[0] != case.expected.name}
    wild = {key: values for key, values in wild.items() if key[0].endswith(".example.com")}
    found = codes(id, wild)
    assert not [one for one in found if one in ("NAME_ZONE_DOUBLED", "NAME_TYPO", "NAME_AT_WWW")]


def test_what_may_serve_another_domain_stays() -> None:
    there = {("s1._domainkey.example.com", "TXT"): [f"p={KEY}"]}
    cause = root("dkim-s1", there, domain="mail.example.com")
    assert (cause.code, cause.evidence) == ("NAME_WRONG_ZONE_LEVEL", Evidence.PROVEN)
    assert cause.fix is not None
    assert (cause.fix.action, cause.fix.remove) == (FixAction.CREATE, [])


def test_the_policy_of_the_zone_is_not_taken_for_that_of_a_subdomain() -> None:
    found = codes("dmarc", {DMARC: ["v=DMARC1; p=none"]}, domain="mail.example.com")
    assert found
    assert not [one for one in found if one.startswith("NAME_")]


def test_an_alias_to_the_domain_is_not_the_record() -> None:
    www = {
        ("_check.www.example.com", "CNAME"): ["elsewhere.net"],
        ("elsewhere.net", "TXT"): [TOKEN],
    }
    assert codes("ownership", www) == ["OWNERSHIP_MISSING"]


def test_a_moved_record_takes_what_is_wrong_at_its_place_along() -> None:
    there = {
        S1: [f"p={OTHER_KEY}"],
        ("s1._domainkey.example.com.example.com", "TXT"): [f"p={KEY}"],
    }
    cause = root("dkim-s1", there)
    assert cause.code == "NAME_ZONE_DOUBLED"
    assert cause.fix is not None
    assert {one.name for one in cause.fix.remove} == {
        "s1._domainkey.example.com",
        "s1._domainkey.example.com.example.com",
    }


def test_a_policy_is_moved_with_all_that_it_says() -> None:
    there = {("_dmrac.example.com", "TXT"): ["v=DMARC1; p=none; fo=1; sp=reject"]}
    cause = root("dmarc", there)
    assert (cause.code, cause.evidence) == ("NAME_TYPO", Evidence.SHOWN)
    assert cause.fix is not None
    assert cause.fix.value == "v=DMARC1; p=quarantine; fo=1; sp=reject"


def test_keys_of_others_are_told_last() -> None:
    """Another provider's key is no mistake: the record of the plan is just missing."""
    there = {("google._domainkey.example.com", "TXT"): ["v=DKIM1; p=abc"]}
    found = causes(case_of("dkim-s1", there))
    assert [one.code for one in found] == ["NAME_OTHER_SELECTOR", "DKIM_MISSING"]
    assert {one.evidence for one in found} == {Evidence.PLAIN}


def test_a_key_of_the_plan_explains_what_is_below_the_keys() -> None:
    there = {("k1._domainkey.example.com", "CNAME"): ["k1.provider.net"]}
    assert codes("dkim-s1", there) == ["DKIM_MISSING"]


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


SOA = "ns01.domaincontrol.com. hostmaster.example.com. 1 7200 900 1209600 300"
CLOUDFLARE = ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")


def test_a_moved_domain_is_told_where_nothing_is_there() -> None:
    there = {("example.com", "SOA"): [SOA]}
    cause = root("dmarc", there, nameservers=CLOUDFLARE)
    assert cause.code == "WRONG_DNS_HOST"
    assert "GoDaddy" in cause.message
    assert "Cloudflare" in cause.message


def test_a_moved_domain_is_not_told_where_the_user_found_the_way() -> None:
    there = {("example.com", "SOA"): [SOA], ("_check.example.com", "TXT"): [TOKEN]}
    assert codes("dmarc", there, nameservers=CLOUDFLARE) == ["DMARC_MISSING"]
