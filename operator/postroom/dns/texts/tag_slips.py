# SPDX-License-Identifier: Apache-2.0
"""Lists of tags as they were meant, where nobody can read them as they stand."""

import re
from collections.abc import Sequence

from postroom.dns.texts.pasted import DAMAGE_LIMIT, all_undone

_BLANK = " \t\r\n"


def meant(text: str, version: str, family: str, names: Sequence[str]) -> str:
    """Return the list that a text was meant as; one that is absurdly long as it is.

    What happened on the way into DNS is undone. `version` is what must stand first, `family` how
    its word begins, in any case and spelling; `names` are the known tags, before which a semicolon
    may have been lost, or a colon stand for an equals sign.
    """
    if len(text) > DAMAGE_LIMIT:
        return text
    text = all_undone(text)
    known = "|".join(map(re.escape, names))
    parts = re.split(rf"[;|]|[{_BLANK},]+(?=(?:v|{known})[ \t]{{0,4}}[=:])", text, flags=re.I)
    spelt = re.compile(rf"\A(?:v[ \t]{{0,4}}[=:][ \t]{{0,4}})?{family}[a-z0-9._-]{{0,8}}", re.I)
    tag = re.compile(rf"({known})[ \t]{{0,4}}[=:][ \t]{{0,4}}", re.I)
    made = [version]
    for part in parts:
        bare = spelt.sub("", part.strip(_BLANK)).strip(f"{_BLANK},")
        found = tag.match(bare)
        made.append(f"{found[1].lower()}={bare[found.end() :]}" if found else bare)
    return "; ".join(filter(None, made))
