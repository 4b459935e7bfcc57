# SPDX-License-Identifier: Apache-2.0
"""A record that receivers read is no template of the instructions: a fix keeps what it says.

Covers: sound SPF and DMARC records with names that look like placeholders, and macros; what a
real placeholder costs, which is its own term or address and nothing else; misplaced policies.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.findings import Finding
from postroom.dns import dmarc
from unit.dns.domains import APEX_TXT, DMARC, DOMAIN, HEALTHY, OWNED, look
from unit.dns.fake_zone import FakeZone, Key

OTHERS: dict[Key, list[str]] = {
    (name, "TXT"): ["v=spf1 ip4:203.0.113.0/24 -all"]
    for name in (
        "spf.old.example.net",
        "pphosted.com",  # what is below it depends on the message
        "spf.your-server.de",
        "yourhosting.nl",
        "replaceme.com",
        "xxxxxx.nl",
        "your_spf.example.net",
    )
}


def told(key: Key, *texts: str, subject: str) -> Finding:
    zone = FakeZone({**HEALTHY, **OTHERS, key: list(texts)})
    return next(finding for finding in look(zone).findings if finding.subject == subject)


def value_of(found: Finding) -> str:
    assert found.fix is not None
    return found.fix.value


@pytest.mark.parametrize(
    "terms",
    [
        "include:%{ir}.%{v}.%{d}.spf.has.pphosted.com include:spf.old.example.net ip4:203.0.113.9",
        "exists:%{i}.your.list.example ip4:203.0.113.9",
        "include:spf.your-server.de",
        "include:yourhosting.nl mx",
        "include:replaceme.com",
        "include:xxxxxx.nl",
        "include:your_spf.example.net",
        "a:your-key.example.com ip4:203.0.113.9",
        "ip4:203.0.113.9 x=YOUR_TOKEN",
    ],
)
def test_a_sound_policy_is_merged(terms: str) -> None:
    found = told(APEX_TXT, OWNED, f"v=spf1 {terms} -all", subject="spf")
    assert found.code == "SPF_MISSING_INCLUDE"
    assert set(terms.split()) < set(value_of(found).split())
    assert value_of(found).endswith("-all") or "x=" in terms


@pytest.mark.parametrize(
    "gap", ["<your provider>", "{{provider}}", "YOUR_PROVIDER", "spf.<provider>"]
)
def test_a_gap_in_a_policy_costs_its_own_term(gap: str) -> None:
    text = f"v=spf1 ip4:203.0.113.9 include:{gap} -all"
    found = told(APEX_TXT, OWNED, text, subject="spf")
    assert found.code == "VALUE_PLACEHOLDER"
    assert value_of(found).split()[0] == "v=spf1"
    assert {"ip4:203.0.113.9", "-all"} < set(value_of(found).split())


@pytest.mark.parametrize("p", ["none", "quarantine", "reject"])
@pytest.mark.parametrize(
    "rua",
    [
        "mailto:dmarc@yourcompany.net",
        "mailto:your@example.net",
        "mailto:replaceme@example.net,mailto:b@my-host.example",
        "mailto:xxxxx@example.net",
        "mailto:YOUR_NAME@example.net",
    ],
)
def test_a_sound_report_policy_keeps_its_strength_and_addresses(p: str, rua: str) -> None:
    found = told(DMARC, f"v=DMARC1; p={p}; rua={rua}", subject="dmarc")
    assert found.code == ("DMARC_POLICY_WEAK" if p == "none" else "DMARC_RUA_MISSING")
    made = dmarc.parse(value_of(found))
    assert made.p == max(p, "quarantine", key=("none", "quarantine", "reject").index)
    assert {*rua.lower().split(","), "mailto:dmarc@example.com"} == set(made.rua)


def test_a_gap_in_a_report_policy_costs_its_own_address() -> None:
    text = "v=DMARC1; p=reject; rua=mailto:<your address>,mailto:old@example.net"
    found = told(DMARC, text, subject="dmarc")
    assert found.code == "VALUE_PLACEHOLDER"
    made = dmarc.parse(value_of(found))
    assert made.p == "reject"
    assert set(made.rua) == {"mailto:old@example.net", "mailto:dmarc@example.com"}


def test_a_foreign_destination_that_has_not_agreed_weakens_no_misplaced_policy() -> None:
    zone = FakeZone({**HEALTHY, DMARC: []})
    zone.records["_dmarc.example.com", "TXT"] = []
    zone.records[DOMAIN, "TXT"].append("v=DMARC1; p=reject; rua=mailto:a@yourcompany.net")
    report = look(zone, dmarc={"policy": "none", "rua": ["mailto:x@foreign.example"]})
    found = next(finding for finding in report.findings if finding.subject == "dmarc")
    made = dmarc.parse(value_of(found))
    assert (found.code, made.p) == ("NAME_AT_APEX", "reject")
    assert "mailto:a@yourcompany.net" in made.rua


LABELS = st.sampled_from(
    [
        "your",
        "yours",
        "your-domain",
        "yourcompany",
        "my-key",
        "replaceme",
        "change-me",
        "xxxxx",
        "insert",
    ]
)
NAMES = st.builds(
    lambda parts: ".".join([*parts, "example.net"]), st.lists(LABELS, min_size=1, max_size=3)
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(NAMES, min_size=1, max_size=3, unique=True), st.sampled_from(["quarantine", "reject"])
)
def test_no_name_makes_a_template(names: list[str], p: str) -> None:
    includes = [f"a:{name}" for name in names]
    found = told(APEX_TXT, OWNED, " ".join(["v=spf1", *includes, "-all"]), subject="spf")
    assert found.code in ("SPF_MISSING_INCLUDE", "SPF_TOO_MANY", "SPF_VOID")
    assert "VALUE_PLACEHOLDER" not in found.because
    rua = [f"mailto:dmarc@{name}" for name in names]
    found = told(DMARC, f"v=DMARC1; p={p}; rua={','.join(rua)}", subject="dmarc")
    made = dmarc.parse(value_of(found))
    assert made.p == p
    assert set(rua) < set(made.rua)
