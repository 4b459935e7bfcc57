# SPDX-License-Identifier: Apache-2.0
"""No fix takes away what worked without saying so.

Covers, for one case or more of every cause: records that nothing of the plan names stay; whatever
goes is named one by one in the fix; a policy's terms, a key, a host or an alias that go are named
in the sentence or stand in what is published.
"""

from __future__ import annotations

import re

import pytest

from closed_loop.loop import Case
from closed_loop.taking import BYSTANDERS, Record, Taking, taking
from closed_loop.test_closed_loop import NAMED
from postroom.api.findings import Finding
from postroom.dns import dkim, dmarc, spf
from postroom.dns.judging.fixes import as_removed
from postroom.dns.texts.pasted import (
    decoded,
    without_entities,
    without_invisible,
    without_quotes,
    without_smart_quotes,
)
from postroom.dns.texts.quoting import quoted

_PER_CAUSE = 2
#: Further lists of tags, of which some may be wanted and others somebody else's.
_LIST = re.compile(r"v=(?:TLSRPTv1|BIMI1)", re.IGNORECASE)
_MASKED = "(a private key)"
_DASHES = {0x2013: "-", 0x2014: "-"}
#: Causes whose fix names no value, so that a secret is repeated nowhere.
_SECRET = "DKIM_PRIVATE_KEY_PUBLISHED"


def _sample() -> list[tuple[str, Case]]:
    """The first cases of each cause and each kind of record."""
    taken: dict[tuple[str, str], int] = {}
    chosen: list[tuple[str, Case]] = []
    for name, case in NAMED:
        key = (case.code, case.record.partition("-")[0])
        taken[key] = taken.get(key, 0) + 1
        if taken[key] <= _PER_CAUSE and not case.advice:
            chosen.append((name, case))
    return chosen


_SAMPLE = _sample()


@pytest.mark.parametrize(("name", "case"), _SAMPLE, ids=[name for name, _ in _SAMPLE])
def test_what_goes_is_said(name: str, case: Case) -> None:
    found = taking(case)
    if found.finding is None:
        return
    for record in found.gone:
        assert _is_in_fix(record, found.finding), (record, found.finding.fix)
        assert record not in BYSTANDERS or _is_said(record[2], found.finding), record
        assert _unsaid(record, found) == [], (record, found.new, found.finding.message)


def _is_in_fix(record: Record, finding: Finding) -> bool:
    name, kind, value = record[0].replace("\\@", "@"), *record[1:]
    fix = finding.fix
    assert fix is not None
    there = [one.value for one in fix.remove if (one.name, one.type) == (name, kind)]
    secret = finding.code == _SECRET and any(one in ("", _MASKED) for one in there)
    return secret or any(one in (as_removed(value), value.removesuffix(".")) for one in there)


def _is_said(text: str, finding: Finding) -> bool:
    return text in finding.message or quoted(text) in finding.message


def _unsaid(record: Record, found: Taking) -> list[str]:
    """What of a record is neither published after the fix nor named in the sentence."""
    finding, (_, kind, value) = found.finding, record
    assert finding is not None
    published = " ".join(text for _, _, text in found.new).lower()
    if kind in ("TXT", "SPF"):
        # A private key is to go, and is repeated nowhere.
        plain = _plain(dkim.without_private(value) or value)
        if spf.is_spf(plain) or dmarc.is_dmarc(plain):
            return [
                term
                for term in _terms(plain)
                if _ascii(term).lower() not in published and not _is_said(_ascii(term), finding)
            ]
        if _LIST.search(plain):
            tags = [re.sub(r"^[la]=", "", tag) for tag in _terms(re.sub(r"[\s\\]", ";", plain))]
            return [tag for tag in tags if tag not in published and not _is_said(tag, finding)]
        read = dkim.parse(value)
        lost = [
            tag
            for tag in re.findall(r"(?<![^;\s])[hnst]=[^;\"]+", plain if "DKIM1" in plain else "")
            if tag.lower() not in published and not _is_said(tag, finding)
        ]
        if lost:
            return lost
        key = read.key if read.usable else None
        # A mistyped form of the wanted key is nobody's.
        if key is None or _is_published(key, found) or finding.code in (_SECRET, "VALUE_NEAR"):
            return []
        return [] if _is_said(dkim.described(key), finding) else [dkim.described(key)]
    target = value.split()[-1].removesuffix(".")
    return [] if target.lower() in published or _is_said(target, finding) else [target]


def _is_published(key: dkim.PublicKey, found: Taking) -> bool:
    return any(kind == "TXT" and dkim.parse(text).key == key for _, kind, text in found.after)


def _plain(text: str) -> str:
    text = decoded(text)
    for undo in (without_invisible, without_entities, without_smart_quotes, without_quotes):
        text = undo(text)
    return text.strip()


def _terms(text: str) -> list[str]:
    """The terms of an SPF record, or the tags and single addresses of a DMARC record."""
    if spf.is_spf(text):
        return text.split()[1:]
    tags = [one.strip() for one in re.split(r"[;,]", text) if one.strip()]
    return [re.sub(r"^ru[af]\s*=\s*", "", tag) for tag in tags[1:]]


def _ascii(term: str) -> str:
    """A term as a sentence names it: a dash is one, and a domain has its form for DNS."""
    plain = term.translate(_DASHES)
    mechanism, colon, domain = plain.partition(":")
    return plain if plain.isascii() else f"{mechanism}{colon}{domain.encode('idna').decode()}"
