# SPDX-License-Identifier: Apache-2.0
"""Causes in values, where no world is needed to see them.

Covers: damage of any kind to any text, proven by undoing it; damage to policies that say more or
less than is wanted; what must not be suspected; hostile texts.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.dns.diagnosis.diagnose import causes
from postroom.dns.judging.fixes import as_removed
from postroom.dns.judging.judgement import Cause, Evidence
from postroom.dns.texts.pasted import without_entities
from unit.dns.diagnosis_looks import KEY, OTHER_KEY, TOKEN, case_of, codes, root

NAMES = {
    "ownership": "_check.example.com",
    "dkim-s1": "s1._domainkey.example.com",
    "spf": "example.com",
    "dmarc": "_dmarc.example.com",
}
VALUES = {
    "ownership": TOKEN,
    "dkim-s1": f"v=DKIM1; k=rsa; p={KEY}",
    "spf": "v=spf1 include:spf.provider.net ~all",
    "dmarc": "v=DMARC1; p=quarantine",
}
_DAMAGE = {
    "VALUE_QUOTED": '"{}"',
    "VALUE_SMART_QUOTES": "\u201c{}\u201d",
    "VALUE_BOM_NBSP": "\ufeff{}",
    "VALUE_INCLUDES_NAME": "TXT {}",
}


def seen_as(text: str) -> str:
    """Write a text as answers have it: octets as latin-1 characters."""
    return text.encode().decode("latin-1")


def told(id: str, *texts: str) -> list[str]:
    return codes(id, {(NAMES[id], "TXT"): list(texts)})


def first(id: str, *texts: str) -> Cause:
    return root(id, {(NAMES[id], "TXT"): list(texts)})


@pytest.mark.parametrize("id", NAMES)
@pytest.mark.parametrize("code", _DAMAGE)
@pytest.mark.parametrize("beside", [[], ["site-verification=abc"]])
def test_damage_is_proven_by_undoing_it(id: str, code: str, beside: list[str]) -> None:
    damaged = seen_as(_DAMAGE[code].format(VALUES[id]))
    cause = first(id, damaged, *beside)
    assert (cause.code, cause.evidence) == (code, Evidence.PROVEN)
    assert cause.fix is not None
    assert cause.fix.value == VALUES[id]
    # Nothing else may stand at the name of a key.
    assert len(cause.fix.remove) == (1 + len(beside) if id == "dkim-s1" else 1)


@given(st.sampled_from(sorted(NAMES)), st.sampled_from(sorted(_DAMAGE)), st.data())
@settings(max_examples=60, deadline=None)
def test_two_kinds_of_damage_are_undone_as_well(id: str, code: str, data: st.DataObject) -> None:
    other = data.draw(st.sampled_from(sorted(set(_DAMAGE) - {code})))
    damaged = seen_as(_DAMAGE[code].format(_DAMAGE[other].format(VALUES[id])))
    cause = first(id, damaged)
    assert cause.code in _DAMAGE
    assert cause.fix is not None
    assert cause.fix.value == VALUES[id]


def test_a_damaged_policy_keeps_what_else_it_says() -> None:
    cause = first("spf", '"v=spf1 ip4:198.51.100.1 include:spf.provider.net -all"')
    assert cause.code == "VALUE_QUOTED"
    assert cause.fix is not None
    assert cause.fix.value == "v=spf1 ip4:198.51.100.1 include:spf.provider.net -all"


def test_a_damaged_policy_that_lacks_something_gets_it() -> None:
    cause = first("spf", '"v=spf1 ip4:198.51.100.1 -all"')
    assert cause.code == "VALUE_QUOTED"
    assert cause.fix is not None
    assert cause.fix.value == "v=spf1 include:spf.provider.net ip4:198.51.100.1 -all"
    weak = first("dmarc", '"v=DMARC1; p=none; fo=1"')
    assert weak.fix is not None
    assert (weak.code, weak.fix.value) == ("VALUE_QUOTED", "v=DMARC1; p=quarantine; fo=1")


@pytest.mark.parametrize(
    ("id", "text"),
    [
        ("spf", "v=spf1 -all"),
        ("spf", "v=spf1 exists:%{i}.example.com -all"),
        ("spf", "v=spf1"),
        ("dmarc", "v=DMARC1; p=none"),
        ("dmarc", "v=DMARC1; p=quarantine; t=y"),
        ("dkim-s1", f"v=DKIM1; k=rsa; p={OTHER_KEY}"),
        ("dkim-s1", "v=DKIM1; p="),
        ("ownership", "provider-verify=00000000000000000a"),
        ("ownership", "provider-verify=4f9a0c1"),
        ("ownership", '"something else"'),
    ],
)
def test_what_only_differs_is_not_damaged(id: str, text: str) -> None:
    suspected = [one for one in told(id, text) if one.startswith("VALUE_")]
    assert suspected == ([] if text != "provider-verify=4f9a0c1" else ["VALUE_TRUNCATED"])


def test_a_shorter_policy_is_not_cut() -> None:
    whole = {"policy": "quarantine", "rua": ["mailto:dmarc@example.com"]}
    there = {("_dmarc.example.com", "TXT"): ["v=DMARC1; p=quarantine"]}
    assert "VALUE_TRUNCATED" not in codes("dmarc", there, dmarc=whole)
    cut = {("_dmarc.example.com", "TXT"): ["v=DMARC1; p=quarantine; rua=mailto:dmarc@exa"]}
    assert codes("dmarc", cut, dmarc=whole)[0] == "VALUE_TRUNCATED"


def test_a_key_beside_an_old_one_is_left_alone() -> None:
    old = f"v=DKIM1; p={OTHER_KEY}"
    cause = first("dkim-s1", VALUES["dkim-s1"], old)
    assert cause.code == "VALUE_DUPLICATE_RECORD"
    assert cause.fix is not None
    assert cause.fix.action.value == "Delete"
    assert [one.value[:40] for one in cause.fix.remove] == [old[:40]]


def test_of_two_records_of_one_key_the_one_stays_under_which_all_mail_passes() -> None:
    right = VALUES["dkim-s1"]
    head, key = right.split("p=")
    for other in (f"{head}t=s; p={key}", f"v=DKIM1; h=sha1; p={key}", f"{head}n=x; t=y; p={key}"):
        cause = first("dkim-s1", other, right)
        assert cause.code == "VALUE_DUPLICATE_RECORD"
        assert cause.fix is not None
        assert [one.value for one in cause.fix.remove] == [as_removed(other)]


def test_all_parts_of_a_split_key_go() -> None:
    whole = VALUES["dkim-s1"]
    cause = first("dkim-s1", whole[:250], whole[250:])
    assert cause.code == "VALUE_SPLIT_RECORDS"
    assert cause.fix is not None
    assert len(cause.fix.remove) == 2


def test_the_same_text_through_an_alias_is_not_damaged_here() -> None:
    there = {
        (NAMES["ownership"], "CNAME"): ["tokens.other.net"],
        ("tokens.other.net", "TXT"): [f'"{TOKEN}"'],
    }
    assert codes("ownership", there) == ["TYPE_CNAME_FOR_TXT", "OWNERSHIP_MISMATCH"]


_OCTETS = st.text(st.characters(max_codepoint=255), max_size=300)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(NAMES)), st.lists(_OCTETS, min_size=1, max_size=6))
def test_no_text_breaks_the_diagnosis(id: str, texts: list[str]) -> None:
    found = causes(case_of(id, {(NAMES[id], "TXT"): texts}))
    assert found
    assert all(one.message.isprintable() and len(one.message) < 1024 for one in found)


@pytest.mark.parametrize("id", NAMES)
@pytest.mark.parametrize(
    "text",
    ['"' * 8000, "v=spf1 " * 1100, "\\;" * 4000, "TXT " * 2000, "v=DMARC1;p=" * 700, "x" * 60000],
)
def test_absurd_texts_take_no_time(id: str, text: str) -> None:
    assert causes(case_of(id, {(NAMES[id], "TXT"): [text, *(f"{n}{text}" for n in range(20))]}))


# Causes that are stated are facts -----------------------------------------------------------------

URL_KEY = KEY.replace("+", "-").replace("/", "_")
ENTITIES = ("&#59;", "&#059;", "&#x3b;", "&#X3B;", "&semi;", "&amp;#59;", "&amp;semi;")


@pytest.mark.parametrize(
    "text",
    [
        f"v=DKIM1; k=rsa; p={URL_KEY}",
        f"v=DKIM1; k=rsa; p={URL_KEY.rstrip('=')}",
        f"p={URL_KEY}",
        f"v=DKIM1; k=rsa; {URL_KEY}",
        URL_KEY,
        f'"v=DKIM1; k=rsa; p={URL_KEY}"',
    ],
)
def test_a_key_in_the_alphabet_of_urls_is_whole(text: str) -> None:
    case = case_of("dkim-s1", {(NAMES["dkim-s1"], "TXT"): [text]})
    about = [cause for cause in causes(case) if "alphabet of URLs" in cause.message]
    assert about
    assert "whole key" in about[0].message
    assert not [cause for cause in causes(case) if cause.code == "VALUE_TRUNCATED"]
    assert about[0].fix is not None
    assert about[0].fix.value == VALUES["dkim-s1"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"v=DKIM1; p={URL_KEY[:200]}", "VALUE_TRUNCATED"),
        (f"v=DKIM1; p={KEY[:200]}", "VALUE_TRUNCATED"),
        # What follows a foreign character was not cut off.
        (f"v=DKIM1; p={KEY[:200]}!{KEY[200:]}", "DKIM_SYNTAX"),
        (f"v=DKIM1; p={KEY[:200]}*", "DKIM_SYNTAX"),
        (f"v=DKIM1; p={KEY[:200]},{KEY[200:]}", "DKIM_SYNTAX"),
    ],
)
def test_only_what_ends_early_is_cut_off(text: str, code: str) -> None:
    assert first("dkim-s1", text).code == code


@pytest.mark.parametrize("entity", ENTITIES)
@pytest.mark.parametrize("id", ["dkim-s1", "dmarc"])
def test_entities_of_html_are_named(id: str, entity: str) -> None:
    cause = first(id, VALUES[id].replace(";", entity))
    assert (cause.code, cause.evidence) == ("VALUE_ENTITIES", Evidence.PROVEN)
    assert "HTML entities" in cause.message
    assert "spaces" not in cause.message
    assert cause.fix is not None
    assert cause.fix.value == VALUES[id]


@pytest.mark.parametrize(
    ("id", "old", "new"),
    [
        ("ownership", "=", "&#61;"),
        ("ownership", "=", "&equals;"),
        ("dkim-s1", "+", "&plus;"),
        ("dkim-s1", "/", "&#47;"),
        ("spf", ":", "&colon;"),
        ("spf", "=", "&#61;"),
        ("dmarc", "=", "&#x3D;"),
    ],
)
def test_any_character_may_stand_as_an_entity(id: str, old: str, new: str) -> None:
    cause = first(id, VALUES[id].replace(old, new))
    assert (cause.code, cause.evidence) == ("VALUE_ENTITIES", Evidence.PROVEN)


@pytest.mark.parametrize("id", NAMES)
@pytest.mark.parametrize("quote", ["&quot;", "&#34;", "&ldquo;"])
def test_quotation_marks_of_html_are_not_called_typographic(id: str, quote: str) -> None:
    cause = first(id, f"{quote}{VALUES[id]}{quote}")
    assert cause.code == "VALUE_SMART_QUOTES"
    assert "HTML entities" in cause.message
    assert "typographic" not in cause.message


def test_only_the_damage_that_is_there_is_told() -> None:
    """k=rsa is right, however much else has to be undone."""
    found = told("dkim-s1", f"v=DKIM1; k=rsa; h=sha1; s=other; p={KEY}")
    assert {"DKIM_HASH", "DKIM_SERVICE"} <= set(found)
    assert "DKIM_KTYPE" not in found


@given(st.text("&#;abc0123456789xX", max_size=40))
def test_undoing_entities_ends_and_leaves_other_text(text: str) -> None:
    undone = without_entities(text)
    assert ("&" in text and ";" in text) or undone == text
