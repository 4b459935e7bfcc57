# SPDX-License-Identifier: Apache-2.0
"""What a DMARC record says that the one offered in its place does not."""

from collections.abc import Iterator, Sequence

from postroom.dns.dmarc.record import REMOVED_TAGS, URI_TAGS, Tag, is_dmarc, split
from postroom.dns.dmarc.slips import mended
from postroom.dns.dmarc.uri import key_of
from postroom.dns.dmarc.uri import parse as parse_uri
from postroom.dns.texts.quoting import quoted

#: Most things that are named one by one.
_LIMIT = 6
#: What is told by the finding itself, or never left out.
_APART = frozenset({"v", "p"})


def left_out(existing: Sequence[str], value: str) -> str:
    """Name in a sentence what of existing records is in the offered one no more; "" for nothing.

    The policy itself is not named: the offered one is as strict as the strictest.
    """
    kept = {tag.name: tag.value for tag in _tags(value)}
    found = dict.fromkeys(clause for text in existing for clause in _gone(text, kept))
    if not found:
        return ""
    named = [*found][:_LIMIT]
    more = f" and {len(found) - _LIMIT} more" if len(found) > _LIMIT else ""
    return f"The fix leaves out {'; '.join(named)}{more}."


def _tags(text: str) -> list[Tag]:
    return [tag for tag in split(text) if isinstance(tag, Tag)]


def _gone(text: str, kept: dict[str, str]) -> Iterator[str]:
    read, written = mended(text), _tags(text)
    tags = _tags(read) if is_dmarc(read) else written
    names = [tag.name for tag in written]
    told = {(tag.name, tag.value) for tag in tags}
    # Of the tags that a record has twice, one is read.
    unread = [
        tag for tag in written if names.count(tag.name) > 1 and (tag.name, tag.value) not in told
    ]
    for tag in (*tags, *unread):
        if tag.name in URI_TAGS:
            yield from _addresses(tag, kept.get(tag.name, ""))
        elif tag.name in REMOVED_TAGS:
            if tag.name not in kept:
                yield f"{quoted(f'{tag.name}={tag.value}')}, a tag that RFC 9989 removed"
        elif tag.name not in _APART and kept.get(tag.name, "").lower() != tag.value.lower():
            yield quoted(f"{tag.name}={tag.value}")


def _addresses(tag: Tag, kept: str) -> Iterator[str]:
    """The addresses of rua= or ruf= that get no reports by the offered record."""
    there = {_key(uri) for uri in kept.split(",")}
    for uri in filter(None, (each.strip() for each in tag.value.split(","))):
        if _key(uri) in there:
            continue
        why = "" if parse_uri(uri).valid else ", which is no valid report address"
        yield f"{quoted(uri)} of {tag.name}={why}"


def _key(text: str) -> str:
    uri = parse_uri(text.strip())
    return key_of(uri.uri) if uri.valid else text.strip()
