# SPDX-License-Identifier: Apache-2.0
"""Mistakes in values: the text is changed by the user's hand, or by the DNS host."""

from __future__ import annotations

from collections.abc import Callable

from closed_loop.loop import APEX, OTHER_KEY, OWN_KEY, Case, Mistake, Stage
from dnsworld.quirks import NICE, QUIRKS, Quirks

TEXTS = ("ownership", "dkim-s1", "spf", "dmarc")
OTHER_RECORD = f"v=DKIM1; k=rsa; p={OTHER_KEY}"
#: A token with letters of both cases, and signs that forms change.
TOKEN = "provider-verify=aB3+xY/9Qd+Zk77mPq5tLw=="
WITH_TOKEN = (("ownership", {"value": TOKEN, "name": f"_check.{APEX}"}),)
WITH_PLUS = (("dmarc", {"policy": "reject", "rua": [f"mailto:dmarc+reports@{APEX}"]}),)
KEPT = QUIRKS["keeps-quotes"]

Change = Callable[[str], str]


def changed(id: str, change: Change, quirks: Quirks = NICE) -> Mistake:
    """The value is typed otherwise than it must be."""

    def mistake(stage: Stage) -> None:
        stage.retype(id, value=change(stage.value(id)), quirks=quirks)

    return mistake


def _case(
    name: str,
    id: str,
    code: str,
    mistake: Mistake,
    *,
    state: str = "Wrong",
    spec: tuple[tuple[str, object], ...] = (),
) -> Case:
    return Case(f"{code}: {name} ({id})", id, state, code, mistake, spec=spec)


def _fullwidth(value: str) -> str:
    """Typed with an input method of East Asia, which has marks of its own."""
    return value.translate({ord(mark): ord(mark) + 0xFEE0 for mark in ";:=~"})


def _around() -> list[Case]:
    """Damage that every kind of text may take."""
    quoted, smart, invisible = "VALUE_QUOTED", "VALUE_SMART_QUOTES", "VALUE_BOM_NBSP"
    named, spaced = "VALUE_INCLUDES_NAME", "VALUE_WHITESPACE"
    decorated, fullwidth = "VALUE_DECORATED", "VALUE_FULLWIDTH"
    rows: list[tuple[str, str, Change, Quirks]] = [
        ("stored", quoted, lambda one: f'"{one}"', KEPT),
        ("added", quoted, lambda one: one, QUIRKS["adds-quotes"]),
        ("at the beginning", quoted, lambda one: f'"{one}', KEPT),
        ("at the end", quoted, lambda one: f'{one}"', KEPT),
        ("escaped", quoted, lambda one: f'\\"{one}\\"', KEPT),
        ("typographic", smart, lambda one: f"\u201c{one}\u201d", NICE),
        ("German", smart, lambda one: f"\u201e{one}\u201c", NICE),
        ("of HTML", smart, lambda one: f"&quot;{one}&quot;", NICE),
        ("before it", invisible, lambda one: f"\ufeff{one}", NICE),
        ("of no width", invisible, lambda one: f"\u200b{one}\u200b", NICE),
        ("marks of East Asia", fullwidth, _fullwidth, NICE),
        ("leading line end", spaced, lambda one: f"\r\n{one}", NICE),
        ("name and type", named, lambda one: f"@ IN TXT {one}", NICE),
        ("type", named, lambda one: f"TXT {one}", NICE),
        ("caption", named, lambda one: f"Value: {one}", NICE),
        ("caption of two words", named, lambda one: f"TXT Value: {one}", NICE),
        ("German caption", named, lambda one: f"Wert: {one}", NICE),
        ("zone file line", named, lambda one: f'x._domainkey IN 3600 TXT "{one}"', KEPT),
        ("HTML", decorated, lambda one: f"<code>{one}</code>", NICE),
        ("HTML with attributes", decorated, lambda one: f'<td id="x"><p>{one}</p></td>', KEPT),
        ("line end of HTML", decorated, lambda one: f"{one}<br/>", NICE),
        ("Markdown", decorated, lambda one: f"`{one}`", NICE),
        ("bold Markdown", decorated, lambda one: f"**{one}**", NICE),
        ("parentheses", decorated, lambda one: f"({one})", NICE),
        ("zone file", decorated, lambda one: f'( "{one[:30]}"\n\t"{one[30:]}" ) ; key', KEPT),
        ("line of several", decorated, lambda one: f'@ IN TXT ( "{one[:30]}" "{one[30:]}" )', KEPT),
        ("brackets", decorated, lambda one: f"[{one}]", NICE),
        ("URL", decorated, lambda one: f"https://{one}/", NICE),
        ("formula", decorated, lambda one: f"={one}", NICE),
    ]
    return [
        _case(name, id, code, changed(id, change, quirks), state=_TORN.get((id, name), "Wrong"))
        for name, code, change, quirks in rows
        for id in TEXTS
        if (id, code) not in _HARMLESS
    ]


#: What is torn holds no token, and without any mark of its own nothing is taken for a key.
_TORN = {
    ("ownership", "zone file"): "Missing",
    ("ownership", "line of several"): "Missing",
    ("dkim-s1", "marks of East Asia"): "Missing",
}


#: Space before the tags of a key means nothing (RFC 6376 section 3.2).
_HARMLESS = frozenset({("dkim-s1", "VALUE_WHITESPACE")})


def _with_its_name(id: str) -> Mistake:
    """The whole line of a zone file is pasted into the field for the value."""

    def mistake(stage: Stage) -> None:
        line = f'{stage.record(id).name}. 300 IN TXT "{stage.value(id)}"'
        stage.retype(id, value=line, quirks=KEPT)

    return mistake


def _inside() -> list[Case]:
    """Damage inside the text, by hand."""
    escaped, invisible, spaced = "VALUE_ESCAPED", "VALUE_BOM_NBSP", "VALUE_WHITESPACE"
    rows: list[tuple[str, str, str, Change]] = [
        ("no-break space", "spf", invisible, lambda one: one.replace(" ", "\u00a0", 1)),
        ("no-break space", "dmarc", invisible, lambda one: f"\u00a0{one}"),
        ("soft hyphen", "ownership", invisible, lambda one: f"{one[:9]}\u00ad{one[9:]}"),
        ("tab", "spf", spaced, lambda one: one.replace(" ", "\t", 1)),
        ("line end inside", "spf", spaced, lambda one: one.replace(" ", "\n", 1)),
        ("line end inside", "ownership", spaced, lambda one: f"{one[:30]}\n{one[30:]}"),
        ("space inside", "ownership", spaced, lambda one: f"{one[:30]} {one[30:]}"),
        ("space at the end", "ownership", spaced, lambda one: f"{one} "),
        ("leading space", "spf", spaced, lambda one: f" {one}"),
        ("of a zone file", "dkim-s1", escaped, lambda one: one.replace(";", "\\;")),
        ("of a zone file", "dmarc", escaped, lambda one: one.replace(";", "\\;")),
        ("numbered", "dmarc", escaped, lambda one: one.replace(";", "\\059")),
        ("end missing", "ownership", "VALUE_TRUNCATED", lambda one: one[:-4]),
        ("end missing", "dkim-s1", "VALUE_TRUNCATED", lambda one: one[:200]),
        ("end missing", "spf", "VALUE_TRUNCATED", lambda one: one[: one.index(".net")]),
        ("other case", "ownership", "VALUE_LOWERCASED", str.upper),
        ("one letter", "ownership", "VALUE_NEAR", lambda one: f"{one[:-1]}0"),
        ("one letter less", "ownership", "VALUE_NEAR", lambda one: f"{one[:30]}{one[31:]}"),
        ("one letter", "dkim-s1", "VALUE_NEAR", lambda one: f"{one[:90]}x{one[91:]}"),
        ("template", "ownership", "VALUE_PLACEHOLDER", lambda one: one[:22] + "<your token>"),
        ("template", "dkim-s1", "VALUE_PLACEHOLDER", lambda one: "v=DKIM1; k=rsa; p=YOUR_KEY"),
        (
            "template",
            "dmarc",
            "VALUE_PLACEHOLDER",
            lambda one: "v=DMARC1; p=none; rua=mailto:<your address>",
        ),
    ]
    found = [_case(name, id, code, changed(id, change, KEPT)) for name, id, code, change in rows]
    return [
        *found,
        *(_case("line", id, _NAMED, _with_its_name(id)) for id in TEXTS),
    ]


_NAMED = "VALUE_INCLUDES_NAME"


def _long_policy(stage: Stage) -> str:
    """A sound policy of more than one string, which holds more than what is required."""
    networks = " ".join(f"ip4:198.51.{number}.0/24" for number in range(100, 116))
    return f"v=spf1 {networks} include:{stage.provider.spf} -all"


def long_policy(change: Change, quirks: Quirks = NICE) -> Mistake:
    def mistake(stage: Stage) -> None:
        stage.retype("spf", value=change(_long_policy(stage)), quirks=quirks)

    return mistake


def _as_strings(*order: int) -> Change:
    """Type a text as quoted strings of 200 characters, in another order."""

    def change(text: str) -> str:
        parts = [text[at : at + 200] for at in range(0, len(text), 200)]
        return " ".join(f'"{parts[number]}"' for number in order)

    return change


def _two_records(id: str, at: int) -> Mistake:
    """A value is typed as two records."""

    def mistake(stage: Stage) -> None:
        value = stage.value(id)
        stage.unpublish(id)
        panel = stage.panel()
        for part in (value[:at], value[at:]):
            panel.add(stage.label(id), "TXT", part)

    return mistake


def _beside_another(id: str, other: str) -> Mistake:
    return lambda stage: stage.zone.add(stage.record(id).name, "TXT", other)


def _long() -> list[Case]:
    """What becomes of texts beyond 255 characters, and of keys at careless hosts."""
    split, order, cut = "VALUE_SPLIT_RECORDS", "VALUE_CHUNK_ORDER", "VALUE_TRUNCATED"

    def same(text: str) -> str:
        return text

    def at(quirk: str, id: str = "dkim-s1") -> Mistake:
        return changed(id, same, QUIRKS[quirk])

    return [
        _case("by the host", "dkim-s1", cut, at("truncates")),
        _case("by the host", "dkim-s1", split, at("splits-into-records")),
        _case("by hand", "dkim-s1", split, _two_records("dkim-s1", 220)),
        _case("by hand", "ownership", split, _two_records("ownership", 30)),
        _case("strings exchanged", "dkim-s1", order, changed("dkim-s1", _as_strings(1, 0, 2))),
        _case(
            "first string lost",
            "dkim-s1",
            order,
            changed("dkim-s1", _as_strings(1, 2)),
            state="Missing",
        ),
        _case("by the host", "dkim-s1", "VALUE_LOWERCASED", at("lowercases")),
        _case("by the host", "dkim-s1", "VALUE_PLUS_LOST", at("plus-to-space")),
        _case("by the host", "dkim-s1", "VALUE_ESCAPED", at("escapes-semicolons")),
        _case("by the host", "dmarc", "VALUE_ESCAPED", at("escapes-semicolons", "dmarc")),
        _case(
            "by the host", "dmarc", "VALUE_PLUS_LOST", at("plus-to-space", "dmarc"), spec=WITH_PLUS
        ),
        _case(
            "token",
            "ownership",
            "VALUE_PLUS_LOST",
            at("plus-to-space", "ownership"),
            spec=WITH_TOKEN,
        ),
        _case(
            "token", "ownership", "VALUE_LOWERCASED", at("lowercases", "ownership"), spec=WITH_TOKEN
        ),
        _case(
            "token", "ownership", "VALUE_QUOTED", at("adds-quotes", "ownership"), spec=WITH_TOKEN
        ),
        _case("long policy, by the host", "spf", cut, long_policy(same, QUIRKS["truncates"])),
        _case(
            "long policy, by the host",
            "spf",
            split,
            long_policy(same, QUIRKS["splits-into-records"]),
        ),
        _case("long policy, torn", "spf", order, long_policy(_torn)),
        _case("long policy", "spf", "VALUE_QUOTED", long_policy(lambda one: f'"{one}"', KEPT)),
        _case(
            "an old key",
            "dkim-s1",
            "VALUE_DUPLICATE_RECORD",
            _beside_another("dkim-s1", OTHER_RECORD),
            state="Conflicting",
        ),
        _case(
            "the key twice",
            "dkim-s1",
            "VALUE_DUPLICATE_RECORD",
            _beside_another("dkim-s1", f"p={OWN_KEY}"),
            state="Conflicting",
        ),
    ]


def _torn(text: str) -> str:
    """Strings of 255 characters, typed with a space between them that becomes a part of it."""
    return f"{text[:255]} {text[255:]}"


CASES: tuple[Case, ...] = (*_around(), *_inside(), *_long())
