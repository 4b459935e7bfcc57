# SPDX-License-Identifier: Apache-2.0
"""Causes at the resolver: DNSSEC that does not hold, other failures, and two zones of one name."""

from __future__ import annotations

import pytest

from postroom.dns.answers import Answer, Outcome
from postroom.dns.diagnosis import resolving
from postroom.dns.diagnosis.zone import ZoneView, root_cause
from unit.dns.zone_looks import APEX, PRIVATE, PUBLIC, SOA, ZONE, both, delegated, root_code, served

_SERVFAIL = Answer(SOA, Outcome.SERVER_FAILURE)
_HAS = Answer(SOA, Outcome.FOUND, (PUBLIC,))


@pytest.mark.parametrize("error", [6, 7, 9, 10])
def test_the_resolver_says_what_is_wrong_with_dnssec(error: int) -> None:
    failed = Answer(SOA, Outcome.SERVER_FAILURE, errors=(error,))
    assert root_code(ZoneView(APEX, ZONE, both(), resolver=failed)) == "DNSSEC_BOGUS"


def test_what_is_there_without_checking_fails_the_check() -> None:
    view = ZoneView(
        APEX,
        ZONE,
        both(),
        delegation=delegated(signed=True),
        resolver=_SERVFAIL,
        unvalidated=_HAS,
    )
    assert root_code(view) == "DNSSEC_BOGUS"


def test_without_a_ds_nothing_is_checked() -> None:
    assert resolving.bogus(APEX, _SERVFAIL, _HAS, delegated(signed=False)) is None


def test_a_resolver_that_fails_otherwise_is_told_with_its_reason() -> None:
    failed = Answer(SOA, Outcome.SERVER_FAILURE, errors=(23,))
    root = root_cause(ZoneView(APEX, ZONE, both(), resolver=failed), {Outcome.FOUND})
    assert root is not None
    assert root.finding.code == "SERVFAIL_OTHER"
    assert "cannot reach" in root.finding.message


def test_the_resolver_has_another_zone_beside_the_public_one() -> None:
    private = Answer(SOA, Outcome.FOUND, (PRIVATE,))
    view = ZoneView(APEX, ZONE, both(), versions=both(PUBLIC), resolver=private)
    root = root_cause(view, {Outcome.FOUND})
    assert root is not None
    assert (root.finding.code, root.blinds) == ("SPLIT_HORIZON", False)


def test_a_private_zone_decides_nothing() -> None:
    private = Answer(SOA, Outcome.FOUND, (PRIVATE,))
    public = tuple(served(name, PUBLIC) for name in ("a.public.net", "b.public.net"))
    view = ZoneView(
        APEX,
        ZONE,
        both(),
        versions=both(PRIVATE),
        delegation=delegated("a.public.net", "b.public.net", servers=public),
        resolver=private,
    )
    root = root_cause(view, {Outcome.FOUND})
    assert root is not None
    assert (root.finding.code, root.blinds, root.moot) == ("SPLIT_HORIZON", True, None)


def test_another_serial_is_no_other_zone() -> None:
    older = Answer(SOA, Outcome.FOUND, (PUBLIC.replace(" 7 ", " 6 ", 1),))
    assert resolving.split(ZONE, older, both(PUBLIC), None) is None


def test_two_zones_of_one_name_end_with_what_to_do() -> None:
    seen = Answer(SOA, Outcome.FOUND, (PRIVATE,))
    versions = tuple(served(name, PUBLIC) for name in ZONE.nameservers)
    apart = resolving.split(ZONE, seen, versions, None)
    assert apart is not None
    assert (
        "have postroom ask a resolver that does, or publish the records in both." in apart.message
    )
    servers = (served("ns1.real.net", PUBLIC),)
    delegation = delegated("ns1.real.net", servers=servers)
    private = resolving.split(ZONE, seen, (), delegation)
    assert private is not None
    assert "Publish the records at the latter" in private.message
