# SPDX-License-Identifier: Apache-2.0
"""Causes in types and aliases, where no world is needed to see them.

Covers: what must not be suspected; where a target differs; hostile
aliases; whose a target is.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.dns.answers import Outcome
from postroom.dns.diagnosis.diagnose import causes, diagnosed
from unit.dns.diagnosis_looks import KEY, OTHER_KEY, case_of, codes, root

CLICK = "click.example.com"
CLOUDFLARE = ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")
#: The target does not exist.
GONE = {(CLICK, "A"): Outcome.NX_DOMAIN}
PROXIED = {(CLICK, "A"): ["104.16.12.7", "104.16.13.7"], (CLICK, "AAAA"): ["2606:4700::1"]}


def test_a_proxied_alias_is_told_with_all_addresses_to_remove() -> None:
    cause = root("tracking", PROXIED, nameservers=CLOUDFLARE)
    assert cause.code == "CNAME_PROXIED"
    assert cause.fix is not None
    assert {(one.type, one.value) for one in cause.fix.remove} == {
        ("A", "104.16.12.7"),
        ("A", "104.16.13.7"),
        ("AAAA", "2606:4700::1"),
    }


def test_addresses_of_a_proxy_at_another_dns_host_are_just_addresses() -> None:
    assert codes("tracking", PROXIED) == ["TYPE_ADDRESS_FOR_CNAME"]


def test_a_target_with_a_slip_of_the_hand_is_told_where_it_differs() -> None:
    cause = root("tracking", {(CLICK, "CNAME"): ["click.providr.net"]}, outcomes=GONE)
    assert cause.code == "CNAME_DANGLING"
    assert cause.message.endswith("it differs from click.provider.net at character 13.")


def test_a_target_that_is_quite_another_is_not_compared() -> None:
    cause = root("tracking", {(CLICK, "CNAME"): ["gone.example.org"]}, outcomes=GONE)
    assert cause.code == "CNAME_DANGLING"
    assert cause.message.endswith("gone.example.org, which does not exist.")


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("click.provider.net.example.com", "CNAME_TARGET_DOUBLED"),
        ("https://click.provider.net", "CNAME_TARGET_WRONG"),
        ("u1.wl1.sendgrid.net", "CNAME_TARGET_OTHER_PROVIDER"),
        ("spf.provider.net", "CNAME_TARGET_WRONG"),
    ],
)
def test_wrong_targets(target: str, code: str) -> None:
    there = {("u1.wl1.sendgrid.net", "A"): ["192.0.2.9"], ("spf.provider.net", "A"): ["192.0.2.8"]}
    assert codes("tracking", {(CLICK, "CNAME"): [target], **there})[0] == code


def test_a_key_behind_an_alias_of_a_former_provider_is_removed_as_alias() -> None:
    there = {
        ("s1._domainkey.example.com", "CNAME"): ["s1.domainkey.u1.wl1.sendgrid.net"],
        ("s1.domainkey.u1.wl1.sendgrid.net", "TXT"): [f"p={OTHER_KEY}"],
    }
    cause = root("dkim-s1", there)
    assert cause.code == "CNAME_TARGET_OTHER_PROVIDER"
    assert cause.fix is not None
    assert [one.type for one in cause.fix.remove] == ["CNAME"]


def test_a_key_behind_an_alias_that_is_right_is_no_mistake() -> None:
    there = {
        ("s1._domainkey.example.com", "CNAME"): ["keys.example.org"],
        ("keys.example.org", "TXT"): [f"p={KEY}"],
    }
    assert diagnosed(case_of("dkim-s1", there))[0].cause is None


@settings(max_examples=150, deadline=None)
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60),
    st.sampled_from(["dkim-k1", "tracking"]),
)
def test_no_target_breaks_the_diagnosis(target: str, id: str) -> None:
    name = case_of(id, {}).planned.name
    found = causes(case_of(id, {(name, "CNAME"): [f"{target.lower()}.invalid"]}))
    assert found
    assert all(one.message.endswith(".") and one.message.isprintable() for one in found)


def test_an_alias_of_the_domain_itself_takes_the_website_along() -> None:
    """What is to be put in its place is said, because the fix takes it away."""
    cause = root("spf", {("example.com", "CNAME"): ["www.host.net"]})
    assert cause.code == "CNAME_AT_APEX"
    assert "website that it leads to goes with it" in cause.message
    assert "ALIAS or ANAME" in cause.message
