# SPDX-License-Identifier: Apache-2.0
"""What came of fetching a policy: what is a fault of the domain, and what only could not be seen.

The fetching itself is tried against real servers in tests/lab/test_policy_fetch.py.
"""

from __future__ import annotations

import pytest

from postroom.dns.tls.mta_sts_host import FetchedPolicy, PolicyFetchOutcome


@pytest.mark.parametrize("outcome", PolicyFetchOutcome)
def test_what_kept_us_from_looking_counts_against_no_policy(outcome: PolicyFetchOutcome) -> None:
    could_not_look = outcome.value in ("Denied", "Unreachable")
    assert FetchedPolicy(outcome).conclusive is not could_not_look
