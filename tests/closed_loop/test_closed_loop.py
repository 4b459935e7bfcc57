# SPDX-License-Identifier: Apache-2.0
"""Every seeded mistake: its verdict, the root cause first, a fix that makes the record valid.

Covers: each case of ``cases_*.py`` on its own, and the rates over all of them. A case that is known
to be missed must be listed with the reason, and must be missed.
"""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from closed_loop.loop import Case, outcome

#: The modules with cases, by what stands behind ``cases_``.
FAMILIES = tuple(sorted(one.stem for one in Path(__file__).parent.glob("cases_*.py")))
NAMED: tuple[tuple[str, Case], ...] = tuple(
    (f"{family.removeprefix('cases_')}: {case.name} [{case.record}]", case)
    for family in FAMILIES
    for case in import_module(f"closed_loop.{family}").CASES
)
CASES = tuple(case for _, case in NAMED)
#: Cases that are known to be missed, by their full name, with the reason.
MISSES: dict[str, str] = {}
#: Codes of what shows at another name, or in another type, than the record has.
_ELSEWHERE = frozenset(
    {
        "ENT_CNAME_PARENT",
        "MX_WRONG_NAME",
        "NAME_AT_APEX",
        "NAME_AT_WILDCARD",
        "NAME_AT_WWW",
        "NAME_LABELS_SWAPPED",
        "NAME_TYPO",
        "NAME_UNDERSCORE_LOST",
        "NAME_WRONG_ZONE_LEVEL",
        "NAME_ZONE_DOUBLED",
        "SPF_WRONG_NAME",
        "SUBDOMAIN_DELEGATED",
        "TYPE_CNAME_FOR_TXT",
        "TYPE_SPF99",
        "TYPE_TXT_FOR_CNAME",
    }
)


def _is_hit(case: Case) -> bool:
    result = outcome(case)
    told = (result.state, result.code) == (case.state, case.code)
    return told and set(case.also) <= set(result.because) and result.is_mended()


def test_no_case_is_left_out() -> None:
    names = Counter(name for name, _ in NAMED)
    assert [name for name, count in names.items() if count > 1] == []
    assert MISSES.keys() <= names.keys()
    assert len(CASES) >= 500
    assert len({case.code for case in CASES}) >= 100


@pytest.mark.parametrize(("name", "case"), NAMED, ids=[name for name, _ in NAMED])
def test_the_cause_comes_first_and_its_fix_works(name: str, case: Case) -> None:
    result = outcome(case)
    assert result.healthy == (), "The domain was not healthy before the mistake."
    if name in MISSES:
        assert not _is_hit(case), "This is no miss any more: take it off the list."
        return
    assert (result.state, result.code) == (case.state, case.code), result
    assert set(case.also) <= set(result.because), result
    assert result.is_mended(), result
    assert result.unkept == (), result
    if case.code in _ELSEWHERE:
        assert result.shows is not False, "The question that is offered does not show the fault."


def test_goals() -> None:
    """Each case that is no miss has its root cause first, and is mended: see above."""
    assert len(MISSES) <= 0.02 * len(CASES)
