# SPDX-License-Identifier: Apache-2.0
"""Records for which one CNAME makes way: told first is what keeps most, and each names the others.

And whatever the cause is, what is published where a CNAME stands takes it away.
"""

from __future__ import annotations

import pytest

from postroom.api.findings import FixAction
from postroom.api.sendingdomain import RecordState
from postroom.dns.diagnosis.diagnose import diagnosed
from unit.dns.diagnosis_looks import KEY, TOKEN, case_of, plan
from unit.dns.domains import DOMAIN, HEALTHY, OWNED, look
from unit.dns.fake_zone import FakeZone
from unit.dns.judging_looks import Key, record

HOST = "host.web.net"
ID = "mx-mx.provider.net"
FOUND = "v=spf1 ip4:203.0.113.7 ~all"
SPF = "v=spf1 include:spf.provider.net ip4:192.0.2.7 ip4:203.0.113.7 ~all"
PUBLISHING = (FixAction.CREATE, FixAction.REPLACE, FixAction.MOVE)


def behind_alias(records: dict[Key, list[str]]) -> FakeZone:
    zone = FakeZone({**HEALTHY, (DOMAIN, "CNAME"): [HOST], **records})
    zone.records |= {(DOMAIN, "TXT"): [], (DOMAIN, "MX"): []}
    return zone


@pytest.mark.parametrize(
    ("records", "order"),
    [
        ({}, ["ownership", "spf", ID]),
        # Who passes through the CNAME does so after the first fix.
        ({(HOST, "TXT"): [FOUND]}, ["spf", "ownership", ID]),
        ({(HOST, "TXT"): [FOUND], (HOST, "MX"): ["10 mx.other.net"]}, ["spf", "ownership", ID]),
        ({(HOST, "MX"): ["10 mx.other.net"]}, ["ownership", "spf", ID]),
    ],
)
def test_the_first_fix_keeps_what_is_found_through_the_cname(
    records: dict[Key, list[str]], order: list[str]
) -> None:
    found = look(behind_alias(records))
    told = {each.subject: each for each in found.findings if each.code == "CNAME_AT_APEX"}
    assert list(told) == order
    for subject, each in told.items():
        others = ", ".join(other for other in order if other != subject)
        assert f"The same CNAME is in the way of {others}: publish in the same" in each.message
        assert each.fix is not None
        assert (DOMAIN, "CNAME") in {(gone.name, gone.type) for gone in each.fix.remove}
    # Their place in the list of records is that of the plan.
    assert found.records[0].id == "ownership"


def test_what_is_told_first_and_its_others_in_one_step_is_all() -> None:
    zone = behind_alias({(HOST, "TXT"): [FOUND], (HOST, "MX"): ["10 mx.other.net"]})
    for each in [each for each in look(zone).findings if each.code == "CNAME_AT_APEX"]:
        assert each.fix is not None
        zone.apply(each.fix)
    assert zone.records[DOMAIN, "TXT"] == [SPF, OWNED]
    assert {each.state for each in look(zone).records} == {RecordState.VALID}


def test_a_cname_in_the_way_of_one_record_is_told_of_that_alone() -> None:
    zone = FakeZone({**HEALTHY, (f"_dmarc.{DOMAIN}", "CNAME"): [HOST]})
    zone.records[f"_dmarc.{DOMAIN}", "TXT"] = []
    (told,) = (each for each in look(zone).findings if each.subject == "dmarc")
    assert "The same CNAME" not in told.message


APEX = {"value": TOKEN, "name": "example.com"}


@pytest.mark.parametrize("behind", [{}, {(HOST, "TXT"): ["v=spf1 ~all", "provider-verify=other"]}])
@pytest.mark.parametrize(
    ("id", "where", "text"),
    [
        ("ownership", "example.com.example.com", TOKEN),
        ("ownership", "www.example.com", TOKEN),
        ("ownership", "@.example.com", TOKEN),
        ("spf", "example.com.example.com", "v=spf1 include:spf.provider.net ~all"),
        ("dmarc", "_dmarc.example.com.example.com", "v=DMARC1; p=reject"),
        ("tls-rpt", "_smtp._tls.example.com.example.com", "v=TLSRPTv1; rua=mailto:t@example.com"),
        ("dkim-s1", "s1._domainkey.example.com.example.com", f"v=DKIM1; p={KEY}"),
        ("dkim-s1", "k1._domainkey.example.com", f"v=DKIM1; p={KEY}"),
    ],
)
def test_what_is_published_in_the_place_of_a_cname_takes_it_away(
    id: str, where: str, text: str, behind: dict[Key, list[str]]
) -> None:
    """Also where the cause is that it stands elsewhere: beside a CNAME it would not be seen."""
    spec = {"ownership": APEX, "tlsRPT": {"rua": ["mailto:t@example.com"]}}
    name = record(plan(**spec), id).name
    records = {(where, "TXT"): [text], (name, "CNAME"): [HOST], **behind}
    found, _ = diagnosed(case_of(id, records, **spec))
    assert found.cause is not None
    fix = found.cause.fix
    assert fix is not None
    assert found.cause.code.startswith("NAME_")
    assert (fix.action in PUBLISHING, fix.name, fix.type) == (True, name, "TXT")
    assert [gone.value for gone in fix.remove if (gone.name, gone.type) == (name, "CNAME")] == [
        HOST
    ]
