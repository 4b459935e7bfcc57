# SPDX-License-Identifier: Apache-2.0
"""Words in other letters than those of ASCII, in what a server says: which of them may be shown.

A word is letters of one script with the marks on them, and nothing else: no sign that hides, turns
or joins text is a letter here. Ids, hosts and encodings of secrets are in ASCII, which has rules of
its own (`server_text`).
"""

import re
import unicodedata

#: Without the letters for clicks, which look like signs.
_LATIN = r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01bf\u01c4-\u024f\u1e00-\u1eff"
_GREEK = r"\u0386\u0388-\u03ff\u1f00-\u1fbc\u1fc2-\u1fcc\u1fd0-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ffc"
#: Of Chinese, Japanese and Korean, which stand in one word; and of Thai.
_EAST_ASIAN = r"\u3005\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_THAI = r"\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46"
#: Without the strokes through letters (U+0334 to U+0338), which would cross a word out.
_MARKS = r"\u0300-\u0333\u0339-\u034e"
#: Letters of a script, and its marks; those of the first three have capitals.
_CASED = (
    (_LATIN, _MARKS),
    (_GREEK, _MARKS),
    (r"\u0400-\u0481\u048a-\u052f", _MARKS),
)
_UNCASED = (
    (r"\u05d0-\u05ea", r"\u05b0-\u05bd\u05c1\u05c2"),
    (r"\u0620-\u063f\u0641-\u064a\u066e\u066f\u0671-\u06d3\u06d5", r"\u064b-\u0652\u0670"),
    (r"\u0904-\u0939", r"\u0900-\u0903\u093a-\u093c\u093e-\u094d"),
)
_UNPARTED = ((_THAI, r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"), (_EAST_ASIAN, r"\u3099\u309a"))
#: Marks on one letter, and letters of one word; of those that no blank parts, a sentence.
_MARKS_LIMIT, _LETTERS_LIMIT, _SENTENCE_LIMIT = 3, 30, 60


def _words(scripts: tuple[tuple[str, str], ...], limit: int) -> re.Pattern[str]:
    each = (f"(?:[{letters}][{marks}]{{0,{_MARKS_LIMIT}}})" for letters, marks in scripts)
    return re.compile("|".join(f"{letter}{{1,{limit}}}" for letter in each))


_CASED_WORD = _words(_CASED, _LETTERS_LIMIT)
_UNCASED_WORD = _words(_UNCASED, _LETTERS_LIMIT)
_SENTENCE = _words(_UNPARTED, _SENTENCE_LIMIT)
#: What stands in quotes of other languages is a name, as what stands in those of ASCII is.
_QUOTED = re.compile(r"[«„“”‟‹「『《〈][^«»„“”‟‹›「」『』《》〈〉]{0,200}[»“”›」』》〉]")
_LEFT_OUT = "…"
#: Signs of East Asian texts as ASCII has them; the blank parts them from what follows.
_SIGNS = str.maketrans(
    {sign: f"{ours} " for sign, ours in zip("、。，：；！？）】］", ",.,:;!?)]]", strict=True)}
    | {sign: f" {ours}" for sign, ours in zip("（【［", "([[", strict=True)}
    | {"・": " ", "’": "'", _LEFT_OUT: f" {_LEFT_OUT} "}
)
_UNSPACED = f"{_EAST_ASIAN}{_THAI}"
#: Where letters that no blank parts meet those of ASCII, or digits: "IP地址", "在10分钟后".
_BORDER = re.compile(
    rf"(?<=[{_UNSPACED}])(?=[0-9A-Za-z(\[])|(?<=[0-9A-Za-z)\],.:;!?])(?=[{_UNSPACED}])"
)


def prepared(text: str) -> str:
    """Return a text whose words are parted by blanks, each character in its plainest form.

    Wide and ornate letters become those that they stand for (Unicode's NFKC).
    """
    if text.isascii():
        return text
    # Marks that are apart from their letters belong to them, but what was left out stays.
    parts = _QUOTED.sub(f" {_LEFT_OUT} ", text).translate(_SIGNS).split(_LEFT_OUT)
    plain = _LEFT_OUT.join(unicodedata.normalize("NFKC", part) for part in parts)
    return _BORDER.sub(" ", plain)


def is_word(text: str) -> bool:
    """Whether a text is one word of one script, in letters as they are written in words."""
    if _SENTENCE.fullmatch(text) is not None or _UNCASED_WORD.fullmatch(text) is not None:
        return True
    bare = "".join(letter for letter in text if letter.isalpha())
    as_written = bare[1:].islower() or bare.isupper() or len(bare) == 1
    return as_written and _CASED_WORD.fullmatch(text) is not None
