# SPDX-License-Identifier: Apache-2.0
"""What a reason about DNS means holds of every kind of record that it is given for.

`postroom explain` and the page of reasons know the reason alone: what speaks of DMARC would send
whoever has a policy of MTA-STS to another record.
"""

import re
from pathlib import Path

import pytest

from postroom.api.dns_reasons import CATALOGUE
from postroom.api.reasons import Reason
from postroom.dns import judging

#: By what a judge's records are called, where a text names them at all.
CALLED = {
    "bimi": "BIMI",
    "dkim": "DKIM",
    "dmarc": "DMARC",
    "mta_sts": "MTA-STS",
    "mx": "MX",
    "ptr": "reverse",
    "spf": "SPF",
    "spf_faults": "SPF",
    "tls_rpt": "TLS-RPT",
    "tlsa": "DANE",
}
GIVEN = {
    reason: {
        word
        for module, word in CALLED.items()
        if re.search(
            rf"\bReason\.{Reason(reason).name}\b",
            (Path(judging.__file__).parent / f"{module}.py").read_text("utf-8"),
        )
    }
    for reason in CATALOGUE
}


def test_some_are_given_for_several_kinds() -> None:
    assert GIVEN["PolicyTooWeak"] == {"BIMI", "DMARC", "MTA-STS"}
    assert len([words for words in GIVEN.values() if len(words) > 1]) > 5


@pytest.mark.parametrize("reason", [reason for reason, words in GIVEN.items() if words])
def test_a_text_that_names_a_kind_names_all(reason: str) -> None:
    text = " ".join(CATALOGUE[reason])
    named = {word for word in CALLED.values() if re.search(rf"\b{word}\b", text)}
    assert not named or named >= GIVEN[reason]
