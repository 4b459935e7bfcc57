# SPDX-License-Identifier: Apache-2.0
"""Whatever record is there: changed for a requirement, it satisfies that and weakens nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dmarc

POLICIES = st.sampled_from(
    ["", "p=none", "p=reject", "p=x", "t=y", "sp=none", "fo=1", "rua=mailto:o@x.org"]
)


@given(st.lists(POLICIES, max_size=5), st.sampled_from(list(DMARCPolicy)))
def test_a_changed_policy_record_satisfies(parts: list[str], wanted: DMARCPolicy) -> None:
    existing = "; ".join(["v=DMARC1", *parts])
    merged = dmarc.with_requirements(existing, wanted, ["mailto:d@x.org"])
    found = dmarc.parse(merged)
    assert found.at_least(wanted)
    assert "mailto:d@x.org" in found.rua
    assert dmarc.parse(existing).strictness <= found.strictness
    assert dmarc.with_requirements(merged, wanted, ["mailto:d@x.org"]) == merged
