# SPDX-License-Identifier: Apache-2.0
"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are made and run tells about the machine and what else it does, not about us.
settings.register_profile("postroom", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("postroom")

HERE = Path(__file__).parent
#: Files that ask how long something takes, or whose servers answer by the clock: beside others they
#: would measure those.
_BY_THE_CLOCK = {
    "test_asking_hostile",
    "test_asking_https",
    "test_asking_limits",
    "test_asking_sockets",
    "test_asking_views",
    "test_canary_engine",
    "test_canary_probes",
    "test_check_pace",
    "test_dns_resolver",
    "test_dovecot_penalty",
    "test_fencing",
    "test_identities_network",
    "test_mail_bench",
    "test_mail_imap_auth",
    "test_mail_imap_session",
    "test_mail_limits",
    "test_oauth_hostile",
    "test_policy_fetch",
    "test_resilience",
}
#: Files of cluster tests that need the API server alone; the others run operators. Each of the
#: groups, of which faults are the third, has a control plane of its own.
_WITHOUT_OPERATOR = {
    "test_check_cluster",
    "test_in_use",
    "test_integrations",
    "test_schema",
    "test_tenants",
    "test_tenants_examples",
    "test_tenants_moved",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests must run alone, and which must share a process: those of one control plane,
    and those of a file of the lab, which may share a server."""
    for item in items:
        name, room = item.path.stem, item.path.relative_to(HERE).parts[0]
        if name in _BY_THE_CLOCK and room in ("lab", "cluster"):
            item.add_marker(pytest.mark.clock)
        if room == "lab":
            item.add_marker(pytest.mark.xdist_group(name))
        elif room == "cluster":
            group = "API server" if name in _WITHOUT_OPERATOR else "operators"
            if item.path.parent.name == "faults":
                # What they do to an API server befalls nobody else's operators.
                group = "faults"
            item.add_marker(pytest.mark.xdist_group(group))
