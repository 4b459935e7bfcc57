# SPDX-License-Identifier: Apache-2.0
"""Remarks and results for the tests of formats: plain ones, odd ones, and any at all."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from postroom.api.names import API_VERSION, Key, Kind
from postroom.cli.formats.remarks import Level, Remark
from postroom.cli.formats.results import CheckResult
from postroom.cli.text_places import Region, Spot

KEY = Key(Kind.SENDING_DOMAIN, "mail", "example")
PLACE = Region(Spot(6, 3, 3), Spot(6, 20, 21))
BROKEN = Remark(
    "SPF_MISSING",
    Level.ERROR,
    "There is no TXT at example.com.",
    "Create: add TXT example.com v=spf1 -all",
    KEY,
    "spec.spf",
    "spf",
    "mail/domain.yaml",
    PLACE,
    "f00d",
)
UNREAD = Remark(
    "INVALID_INPUT", Level.ERROR, "is not YAML: x", file="bad, file:1.yaml", fingerprint="beef"
)
ADVICE = Remark("TTL_HIGH", Level.NOTE, "The TTL is long.", key=KEY, file="<stdin>")


def condition(kind: str, status: str, reason: str = "Succeeded") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-11-21T10:00:00Z",
        "message": "A message.",
    }


def raw(name: str = "example", *conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "SendingDomain",
        "metadata": {"namespace": "mail", "name": name},
        "spec": {"domain": "example.com"},
        "status": {"observedGeneration": 1, "conditions": list(conditions)},
    }


RESULT = CheckResult(
    [
        raw("example", condition("Ready", "False", "RecordNotFound")),
        raw("good", condition("Ready", "True")),
        raw("unseen", condition("Ready", "Unknown", "DNSUnavailable")),
        raw("resting", condition("Ready", "True"), condition("Suspended", "True", "Suspended")),
    ],
    [UNREAD, BROKEN, ADVICE],
    2,
)

ANY_TEXT = st.text(max_size=40)
SPOTS = st.builds(Spot, st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
ANY_REMARK = st.builds(
    Remark,
    code=st.sampled_from(["SPF_MISSING", "INVALID_INPUT"]),
    level=st.sampled_from(Level),
    message=ANY_TEXT,
    fix=ANY_TEXT,
    key=st.sampled_from([KEY, None]),
    field=st.sampled_from(["", "spec.dkim[0]"]),
    file=ANY_TEXT,
    region=st.none() | st.builds(Region, SPOTS, st.none() | SPOTS),
    fingerprint=st.sampled_from(["f00d", "beef"]),
)
ANY_RESULT = st.builds(
    CheckResult,
    objects=st.just(RESULT.objects),
    remarks=st.lists(ANY_REMARK, max_size=4),
    exit_code=st.sampled_from([0, 1, 2, 3]),
)
