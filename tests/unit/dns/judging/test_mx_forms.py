# SPDX-License-Identifier: Apache-2.0
"""Exchanges that a provider hands out under another name for the same domain."""

from __future__ import annotations

import pytest

from unit.dns.judging_looks import DOMAIN, Names, plan_of, verdict

OLD, NEW = "example-com.mail.protection.outlook.com", "example-com.o-v1.mx.microsoft"
PLAN = plan_of(mx=[{"host": OLD, "preference": 0}])
ADDRESSES = {(host, "A"): ["192.0.2.1"] for host in (OLD, NEW, "other-com.o-v1.mx.microsoft")}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([f"0 {OLD}"], ("Valid", None)),
        ([f"0 {NEW}"], ("Valid", None)),
        ([f"10 {NEW}"], ("Valid", None)),
        ([f"0 {OLD}", f"20 {NEW}"], ("Valid", None)),
        (["0 other-com.o-v1.mx.microsoft"], ("Wrong", "MX_MISMATCH")),
        (["0 example-com.mx.microsoft"], ("Wrong", "MX_MISMATCH")),
        (["0 example-com.a.b.mx.microsoft"], ("Wrong", "MX_MISMATCH")),
        ([f"0 {NEW}.example.net"], ("Wrong", "MX_MISMATCH")),
    ],
)
def test_the_form_for_dane_is_as_good(values: list[str], expected: tuple[str, str | None]) -> None:
    judged = Names({(DOMAIN, "MX"): values, **ADDRESSES}).judged(PLAN, f"mx-{OLD}")
    state, code = verdict(judged)
    assert state == expected[0]
    assert (code is None) == (expected[1] is None)


def test_it_is_not_so_the_other_way_round() -> None:
    """Who names the form for DANE wants the signed zone."""
    plan = plan_of(mx=[{"host": NEW, "preference": 0}])
    names = Names({(DOMAIN, "MX"): [f"0 {OLD}"], **ADDRESSES})
    assert verdict(names.judged(plan, f"mx-{NEW}")) == ("Wrong", "MX_MISMATCH")


def test_a_form_without_address_takes_no_mail() -> None:
    names = Names({(DOMAIN, "MX"): [f"0 {NEW}"], (OLD, "A"): ["192.0.2.1"]})
    assert names.judged(PLAN, f"mx-{OLD}").state.value == "Wrong"
