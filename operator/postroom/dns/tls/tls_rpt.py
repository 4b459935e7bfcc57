# SPDX-License-Identifier: Apache-2.0
"""TLS-RPT records (RFC 8460 section 3): where reports on TLS of incoming mail go."""

import re
from collections.abc import Iterable, Iterator, Sequence

from postroom.dns.texts.mailto import MAILTO, mail_address, with_at_signs
from postroom.dns.texts.quoting import quoted
from postroom.dns.texts.tag_slips import meant
from postroom.dns.texts.text_fields import fields

VERSION = "v=TLSRPTv1"
#: Most report addresses that are read.
_DESTINATIONS_LIMIT = 50
#: RFC 3986 section 3, leniently: any printable ASCII but "!", "," and ";", which must be
#: percent-encoded (RFC 8460 section 3).
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\"-+\--:<-~]+")
_HTTPS = re.compile(r"https://[^/]+.*", re.IGNORECASE)
#: What people type around an address, before one of mail, and behind it as in DMARC records.
_AROUND = "<>()[]{}'\"`."
_MAILTO_MEANT = re.compile(r"(?:e-?mail|mailt?o?|malto|maito)[ \t]{0,4}[:=]/{0,2}", re.IGNORECASE)
_SIZE = re.compile(r"![0-9]{0,20}[kmgt]?$", re.IGNORECASE)
#: Most of what is left out that is named one by one.
_NAMED_LIMIT = 6


def is_record(text: str) -> bool:
    """Whether a TXT text is a TLS-RPT record: v=TLSRPTv1 first (section 3)."""
    return re.match(r"v=TLSRPTv1[ \t]*;", text) is not None


def looks_like_record(text: str) -> bool:
    """Whether a TXT text was meant as one."""
    meant = r"\bv\s{0,4}[=:]\s{0,4}tls-?rpt|^[\s\"']{0,4}tls-?rptv1\b"
    return re.search(meant, text, re.IGNORECASE) is not None


def record_problem(text: str) -> str | None:
    """What is wrong with a record for which `is_record` holds."""
    problem = fields(text, "rua")[1]
    if problem is not None:
        return problem
    parts = _parts(text)
    if not parts:
        return "it has no report address (rua=)"
    if len(parts) > _DESTINATIONS_LIMIT:
        return f"it has more than {_DESTINATIONS_LIMIT} report addresses"
    if any(not part for part in parts):
        return "a comma in rua= stands where no report address follows or precedes it"
    if not all(map(_URI.fullmatch, parts)):
        return "each report address (rua=) must begin with mailto: or https:, parted by commas"
    if not _used(parts):
        return "no report address (rua=) is a mailto: or https: one, which senders can use"
    return None


def destinations(text: str) -> tuple[str, ...]:
    """Return the report addresses that senders can use, as written; rua= may be there repeatedly.

    Of a text that senders cannot read those that it was plainly meant to name, so that mending it
    loses none.
    """
    if is_record(text) and record_problem(text) is None:
        return _used(_parts(text))
    return _used([_plain(item) for is_address, item in _meant(text) if is_address])


def left_out(texts: Iterable[str], value: str) -> str:
    """Name in a sentence what of these texts the value in their place has not; "" for nothing."""
    kept = {_key(uri) for uri in destinations(value)}
    gone = dict.fromkeys(
        quoted(item) + (", which is no mailto: or https: address" if is_address else "")
        for text in texts
        for is_address, item in _meant(text)
        if not (is_address and _key(_plain(item)) in kept)
    )
    if not gone:
        return ""
    more = f" and {len(gone) - _NAMED_LIMIT} more" if len(gone) > _NAMED_LIMIT else ""
    return f"The fix leaves out {'; '.join([*gone][:_NAMED_LIMIT])}{more}."


def missing_from(there: Iterable[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the wanted addresses that are not there."""
    known = {_key(uri) for uri in there}
    return tuple(uri for uri in wanted if _key(uri) not in known)


def record_for(there: Iterable[str], wanted: Sequence[str]) -> str:
    """Write a record that reports to what is there and to what is wanted, each once."""
    by_key = {_key(uri): uri for uri in reversed([*there, *wanted])}
    return f"{VERSION}; rua={','.join(reversed(list(by_key.values())))}"


def _parts(text: str) -> list[str]:
    """The items of every rua=, in their order; empty ones, which the grammar forbids, as well."""
    lists = [field.value for field in fields(text, "rua")[0] if field.name == "rua"]
    return [item.strip(" \t") for value in lists for item in value.split(",") if value]


def _used(parts: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        part
        for part in parts[:_DESTINATIONS_LIMIT]
        if _URI.fullmatch(part) and (_HTTPS.fullmatch(part) or _address(part))
    )


def _address(uri: str) -> str | None:
    """The address of a mailto: URI that has one."""
    return mail_address(uri) if uri.lower().startswith(MAILTO) else None


def _meant(text: str) -> Iterator[tuple[bool, str]]:
    """What a text was meant to say behind its version: whether it is an address, and the item."""
    for part in with_at_signs(meant(text, VERSION, "tls-?rpt", ("rua",))).split(";")[1:]:
        name, _, value = part.strip().partition("=")
        if name == "rua":
            yield from ((True, item) for item in re.split(r"[\s,]+", value) if item)
        elif part.strip():
            # An address that a semicolon parts from the list, where a comma was due.
            yield "=" not in part.partition(":")[0] and ("@" in part or "://" in part), part.strip()


def _plain(item: str) -> str:
    """An address without what was typed around it; one of mail alone gets its scheme."""
    bare = _SIZE.sub("", _MAILTO_MEANT.sub("mailto:", item.strip(_AROUND), count=1))
    return bare if ":" in bare or "@" not in bare else f"mailto:{bare}"


def _key(uri: str) -> str:
    """What is equal for equal addresses: but for the path of a URL, case does not matter."""
    if uri.lower().startswith(MAILTO):
        return f"{MAILTO}{_address(uri) or uri[len(MAILTO) :].lower()}"
    scheme, _, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}".lower() + slash + path
