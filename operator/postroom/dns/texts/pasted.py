# SPDX-License-Identifier: Apache-2.0
"""What happens to a value between a web page and DNS, and how to undo it."""

import re
from collections.abc import Callable
from functools import lru_cache
from html import unescape

from postroom.dns.finding_codes import Code

#: Longest text in which such damage is looked for: values to publish are far shorter.
DAMAGE_LIMIT = 8192
Undo = Callable[[str], str]
_INVISIBLE = "[\u00ad\u200b-\u200f\u2060\ufeff]"
_WIDE_SPACE = "[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]"
#: ASCII as the keyboards of East Asia have it, and the ideographic comma and full stop.
_FULLWIDTH = {
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys((0x3002, 0xFF61), "."),
    0x3001: ",",
}
_SMART_QUOTES = (
    "[\u2018-\u201f\u00ab\u00bb\u2032\u2033\u2039\u203a]|&(?:quot|[lr][sd]quo|apos|#3[49]);"
)
#: Characters as HTML writes them, of which ``&amp;`` may hide another.
_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_ENTITY_DEPTH = 3
_QUOTES = r'\\?"'
_ENTITY_QUOTES = "has quotation marks around it or inside it, as HTML entities"
_ESCAPE = r"(?s)\\(?:([0-9]{3})|(.))"
_STRAY_SPACE = r"[\t\n\v\f\r\x00]+"
#: What people copy along with a value: the name, the class and type, a caption. Behind other words
#: than the usual ones a version must follow, which begins every value but a token.
_CAPTION = (
    r"(?i)\s{0,8}(?:(?:[A-Za-z][A-Za-z /_()-]{1,39}[:=]|(?:[A-Za-z]{2,12}[ -]){1,3})"
    r"(?=[\s\"']{0,8}v\s{0,4}=)"
    r"|(?:[A-Za-z0-9_.@*-]{1,253}\.?\s{1,8})?(?:[0-9]{1,10}\s{1,8})?"
    r"(?:IN\s{1,8})?(?:[0-9]{1,10}\s{1,8})?(?:TXT|CNAME)\b(?!\s?[A-Za-uw-z][A-Za-z]{2,7}\s{0,4}[:=])"
    r"|(?:(?:txt|dns|host|record|the)\s?){0,2}(?:value|data|content|record|text|code|token|answer"
    r"|target|points to|wert|inhalt|ziel|valeur|valor|valore|waarde)\s{0,4}[:=]"
    r"|[A-Za-z0-9_-]{0,63}\._?(?:domainkey|dmarc)[A-Za-z0-9_.-]{0,190}(?=[\s:=])"
    r"|_dmarc[A-Za-z0-9_.-]{0,190}(?=[\s:=]))[\s:=\"']{0,8}"
)

#: Elements of HTML that stand around values on pages; any other name in angle brackets is a gap.
_TAG = (
    r"(?i)</?(?:a|abbr|b|br|code|dd|div|dt|em|font|h[1-6]|i|kbd|li|mark|ol|p|pre|q|samp|small|span|strong"
    r"|table|tbody|td|textarea|th|tr|tt|u|ul|wbr)(?:\s[^<>]{0,200})?\s{0,4}/?>"
)
#: Marks around a whole value, each with how to name it: those of Markdown, of zone files, of URLs.
_AROUND: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?s)\((.*)\)\s*(?:;.*)?"), "has the parentheses of a zone file around it"),
    (re.compile(r"(?s)(`{1,3}|\*{1,3}|_{2,3})(.*)\1"), "has marks of Markdown around it"),
    (re.compile(r"(?s)\[(.*)\]|<(.*)>"), "has brackets around it"),
    (re.compile(r"(?is)https?:/{1,2}(.*?)/?"), "begins as a URL does"),
    (re.compile(r"(?s)=(?=[\"'A-Za-z])(.*)"), "has an equals sign before it"),
)
_ZONE_STRINGS = r'(?s)(?:"(?:[^"\\]|\\.){0,1024}"\s{0,80}){1,64}'
_ZONE_STRING = r'(?s)"((?:[^"\\]|\\.)*)"'
_DECORATIONS_LIMIT = 4


def decoded(text: str) -> str:
    """Read bytes that stand as latin-1 characters as the UTF-8 that was typed, where it is such."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text


def _changed(text: str, undo: Undo) -> str:
    """Undo something of the text as it was typed; where nothing of it is there it stays."""
    typed = decoded(text)
    undone = undo(typed)
    return text if undone == typed else undone


def without_invisible(text: str) -> str:
    """Take away byte order marks and zero-width characters; no-break spaces become spaces."""
    return _changed(text, lambda typed: re.sub(_WIDE_SPACE, " ", re.sub(_INVISIBLE, "", typed)))


def without_fullwidth(text: str) -> str:
    """Write fullwidth characters as those of ASCII that they are meant as."""
    return _changed(text, lambda typed: typed.translate(_FULLWIDTH))


def without_entities(text: str) -> str:
    """Write the entities of HTML as the characters that they stand for: ``&#59;`` is ``;``."""
    for _ in range(_ENTITY_DEPTH):
        text = re.sub(_ENTITY, lambda match: unescape(match[0]), text)
    return text


def without_smart_quotes(text: str) -> str:
    """Take away typographic quotation marks, also as HTML entities."""
    return _changed(text, lambda typed: re.sub(_SMART_QUOTES, "", typed))


def without_quotes(text: str) -> str:
    """Take away quotation marks, also escaped ones; single ones only around the whole."""
    bare = re.sub(_QUOTES, "", text)
    trimmed = bare.strip()
    if len(trimmed) > 1 and trimmed[0] == trimmed[-1] == "'":
        return trimmed[1:-1]
    return text if bare == text else trimmed


def without_escapes(text: str) -> str:
    r"""Undo the escapes of zone files: ``\;`` and ``\059`` become ``;``.

    No zone file escapes the letter n: ``\n`` is the line end of some program.
    """
    return re.sub(_ESCAPE, _unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1])) if int(match[1]) < 256 else ""
    return " " if match[2] in ("n", "r", "t") else match[2]


def without_caption(text: str) -> str:
    """Take away what stands before the value: its name, its type, or a word such as ``value:``."""
    match = re.match(_CAPTION, text)
    return text[match.end() :] if match else text


def without_decoration(text: str) -> str:
    """Take away what a page or a file has around a value: HTML tags, brackets, Markdown."""
    bare = re.sub(_TAG, "", text).strip()
    for _ in range(_DECORATIONS_LIMIT):
        inside = _without_marks(bare)
        if inside == bare and len(bare) == len(text.strip()):
            return text
        bare = without_caption(inside).strip()
        if re.fullmatch(_ZONE_STRINGS, bare):
            bare = "".join(re.findall(_ZONE_STRING, bare))
    return bare


def _without_marks(text: str) -> str:
    """The text inside of the first marks that stand around all of it."""
    uncaptioned = without_caption(text).strip()
    for candidate in (text, uncaptioned):
        for pattern, _ in _AROUND:
            match = pattern.fullmatch(candidate)
            if match is not None:
                return next(
                    group for group in reversed(match.groups()) if group is not None
                ).strip()
    return text


def without_stray_space(text: str) -> str:
    """Turn line ends, tabs and NULs into spaces, and take away those around the value."""
    return re.sub(_STRAY_SPACE, " ", text).strip()


#: Damage that any value may take, by the code of its finding, in the order to undo it.
UNDO: tuple[tuple[Code, Undo], ...] = (
    (Code.VALUE_BOM_NBSP, without_invisible),
    (Code.VALUE_FULLWIDTH, without_fullwidth),
    (Code.VALUE_ENTITIES, without_entities),
    (Code.VALUE_SMART_QUOTES, without_smart_quotes),
    (Code.VALUE_QUOTED, without_quotes),
    (Code.VALUE_ESCAPED, without_escapes),
    (Code.VALUE_INCLUDES_NAME, without_caption),
    (Code.VALUE_DECORATED, without_decoration),
    (Code.VALUE_WHITESPACE, without_stray_space),
)


# A look reads the same few texts as every record, at every place where one may have slipped to.
@lru_cache(maxsize=128)
def changes(text: str) -> tuple[tuple[Code, str], ...]:
    """What becomes of a text when one kind of damage is undone, for each kind that it may have."""
    return tuple((code, single) for code, undo in UNDO if (single := undo(text)) != text)


@lru_cache(maxsize=128)
def all_undone(text: str) -> str:
    """The text with every kind of damage undone, one after the other."""
    if changes(text):
        for _, undo in UNDO:
            text = undo(text)
    return text


#: What each kind of damage is, for the end of a sentence that begins with "the value".
DETAILS = {
    Code.VALUE_BOM_NBSP: "holds an invisible character",
    Code.VALUE_FULLWIDTH: "holds fullwidth characters in the place of those of ASCII",
    Code.VALUE_ENTITIES: "holds HTML entities, such as &#59; or &quot;, in the place of characters",
    Code.VALUE_SMART_QUOTES: "holds typographic quotation marks",
    Code.VALUE_QUOTED: "has quotation marks inside it",
    Code.VALUE_ESCAPED: "holds backslashes of a zone file",
    Code.VALUE_INCLUDES_NAME: "begins with the record's name, type or a caption",
    Code.VALUE_DECORATED: "has marks around it that belong to the page or file that it comes from",
    Code.VALUE_WHITESPACE: "holds line ends, tabs or spaces that do not belong there",
}


def detail_of(code: Code, text: str) -> str:
    """What the damage of a text is, for the end of a sentence about it."""
    if code == Code.VALUE_SMART_QUOTES and re.search(_ENTITY, text):
        typed = re.sub(_ENTITY, "", text)
        if without_smart_quotes(typed) == typed:
            return _ENTITY_QUOTES
    if code != Code.VALUE_DECORATED:
        return DETAILS[code]
    tag = re.search(_TAG, text)
    if tag is not None:
        return f"has HTML tags around it or inside it, such as {tag[0][:_SHOWN]}"
    bare = text.strip()
    for candidate in (bare, without_caption(bare).strip()):
        for pattern, said in _AROUND:
            if pattern.fullmatch(candidate):
                return said
    return DETAILS[code]


#: What no name and no token holds: a gap in brackets. Braces behind a percent sign are a macro.
_GAP = r"<[A-Za-z][^<>]{0,80}>|(?<!%)\{\{?[^{}]{0,80}\}|\[[A-Za-z][A-Za-z _-]{2,80}\]"
#: Words that are a placeholder only where they are all there is: names begin with them as well.
_BLANK = (
    r"(?i)(?:your|my|insert|enter|paste|put|add)(?:[ _-][a-z]{1,24}){1,6}"
    r"|your(?:domain|host|key|name|server|string|token|value|code|id)s?"
    r"|(?:replace|change)[ _-]?(?:me|this|with)(?:[ _-][a-z]{1,24}){0,6}"
    r"|x{5,}|\.\.\.|\u2026"
)
_CUT_SHORT = r"[^\s.\u2026]{1,8192}(?:\.\.\.|\u2026)"
_VALUE_ENDS = r"[;,=:\"']"
_SHOWN = 40


def placeholder(text: str) -> str | None:
    """Return the placeholder of a template that was left in a value, bounded; None if none.

    A gap in brackets counts wherever it stands. Words such as ``YOUR_TOKEN`` count where they are
    a whole value or a whole label: ``your-server.de`` is somebody's name. Ask only of a value that
    cannot be read as what it must be: what can be read is no template.
    """
    text = decoded(text[:DAMAGE_LIMIT])
    gap = re.search(_GAP, text)
    if gap is not None:
        return gap[0][:_SHOWN]
    for value in map(str.strip, re.split(_VALUE_ENDS, text)):
        if re.fullmatch(_BLANK, value) or re.fullmatch(_CUT_SHORT, value):
            return value[-_SHOWN:]
        for label in value.split("."):
            # As instructions write a gap, and as nobody writes a name.
            if label.isupper() and "_" in label and re.fullmatch(_BLANK, label):
                return label[:_SHOWN]
    return None
