# SPDX-License-Identifier: Apache-2.0
"""DMARC records that were typed wrongly: what they plainly say is in the fix, or named."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.dns import dmarc
from unit.dns.judging_looks import DOMAIN, Key, Names, plan_of, verdict

TXT: Key = (f"_dmarc.{DOMAIN}", "TXT")
PLAN = plan_of(dmarc={"policy": "none", "rua": ["mailto:dmarc@example.com"]})
_URI = r"mailto:([a-z0-9]+@[a-z0-9.]+)"


def _swapped(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


def _each_uri(written: str) -> Callable[[str], str]:
    return lambda text: re.sub(_URI, written, text)


#: How a record is typed wrongly, one slip upon another.
SLIPS: dict[str, Callable[[str], str]] = {
    "fullwidth semicolons": _swapped(";", "\uff1b"),
    "fullwidth equals signs": _swapped("=", "\uff1d"),
    "fullwidth commas": _swapped(",", "\uff0c"),
    "ideographic commas": _swapped(",", "\u3001"),
    "ideographic spaces": _swapped("; ", ";\u3000"),
    "fullwidth at signs": _swapped("@", "\uff20"),
    "no-break spaces": _swapped(" ", "\u00a0"),
    "spaces of no width": _swapped("=", "=\u200b"),
    "dashes": _swapped("; ", " \u2014 "),
    "bullets": _swapped("; ", " \u2022 "),
    "lines": _swapped("; ", "\r\n"),
    "commas": _swapped(";", ","),
    "bars": _swapped(";", "|"),
    "blanks": _swapped(";", ""),
    "colons": _swapped("=", ":"),
    "backslashes": _swapped(";", "\\;"),
    "entities": _swapped(";", "&#59;"),
    "lower case": _swapped("DMARC1", "dmarc1"),
    "quotes": lambda text: f'"{text}"',
    "caption": lambda text: f"Value: {text}",
    "no mailto": _swapped("mailto:", ""),
    "slashes": _swapped("mailto:", "mailto://"),
    "semicolons between addresses": _swapped(",mailto", "; mailto"),
    "blanks between addresses": _swapped(",mailto", " mailto"),
    "brackets": _each_uri(r"mailto:<\1>"),
    "brackets around all": _each_uri(r"<mailto:\1>"),
    "full stops": _each_uri(r"mailto:\1."),
    "sizes": _each_uri(r"mailto:\1!10m"),
}
#: Those that leave the others as they are.
COMPOSED = sorted(
    {"fullwidth semicolons", "fullwidth equals signs", "no-break spaces", "dashes", "colons"}
    | {"backslashes", "lower case", "quotes", "brackets", "full stops", "no mailto"}
)
_WORD = st.from_regex(r"[a-z]{2,6}[0-9]{2}", fullmatch=True)
_URIS = st.lists(st.builds("mailto:{}@{}.example".format, _WORD, _WORD), min_size=1, max_size=3)
_POLICY = st.sampled_from(["none", "quarantine", "reject"])


@st.composite
def records(draw: st.DrawFn) -> list[str]:
    """The tags of a record behind its version, in any order."""
    tags = {
        "p": draw(_POLICY),
        "rua": ",".join(draw(_URIS)),
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "ruf": _URIS.map(",".join),
                    "sp": _POLICY,
                    "np": _POLICY,
                    "adkim": st.just("s"),
                    "aspf": st.just("s"),
                    "fo": st.sampled_from(["1", "d:s"]),
                },
            )
        ),
    }
    return draw(st.permutations([f"{name}={value}" for name, value in tags.items()]))


def _lost(tags: list[str], slips: list[str]) -> list[str]:
    text = "; ".join(["v=DMARC1", *tags])
    for slip in slips:
        text = SLIPS[slip](text)
    seen = Names({TXT: [text.encode().decode("latin-1")]})
    judged = seen.judged(PLAN, "dmarc")
    assert judged.value is not None
    said = judged.cause.message if judged.cause is not None else ""
    if judged.cause is not None:
        assert judged.cause.fix is not None
        seen.apply(judged.cause.fix)
        assert verdict(seen.judged(PLAN, "dmarc"))[0] == "Valid"
    kept = dict(one.partition("=")[::2] for one in judged.value.split("; "))
    lost = []
    for tag in tags:
        name, _, value = tag.partition("=")
        parts = value.split(",") if name in ("rua", "ruf") else [value]
        there = kept.get(name, "").replace("!10m", "").split(",")
        lost += [part for part in parts if part not in there and part not in said]
    return lost


@settings(max_examples=120, deadline=None)
@given(records(), st.sampled_from(sorted(SLIPS)))
def test_what_a_record_plainly_says_is_kept_or_named(tags: list[str], slip: str) -> None:
    assert _lost(tags, [slip]) == []


@settings(max_examples=120, deadline=None)
@given(records(), st.lists(st.sampled_from(COMPOSED), min_size=2, max_size=3, unique=True))
def test_and_so_it_is_with_several_slips(tags: list[str], slips: list[str]) -> None:
    assert _lost(tags, slips) == []


@settings(max_examples=150)
@given(records(), st.lists(st.sampled_from(sorted(SLIPS)), max_size=3))
def test_what_is_mended_is_mended_for_good(tags: list[str], slips: list[str]) -> None:
    text = "; ".join(["v=DMARC1", *tags])
    for slip in slips:
        text = SLIPS[slip](text)
    mended = dmarc.mended(text)
    assert dmarc.mended(mended) == mended
