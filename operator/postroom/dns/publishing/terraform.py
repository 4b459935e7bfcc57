# SPDX-License-Identifier: Apache-2.0
"""Terraform (HCL): resources of the provider that manages the zone.

There is no resource that all DNS hosts share, so the format is that of the host: Cloudflare has a
resource per record, Amazon Route 53 and Google Cloud DNS have one per name and type.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from postroom.dns.answers import RecordType
from postroom.dns.publishing.rdata import absolute, exchange, rdata, relative_to_root, tlsa
from postroom.dns.publishing.records import RecordSet, ZoneRecords, record_sets
from postroom.dns.publishing.zone_file import remark
from postroom.dns.texts.presentation import character_strings, escaped, presentation


class TerraformProvider(StrEnum):
    """Whose resources are written."""

    CLOUDFLARE = "cloudflare"
    ROUTE53 = "route53"
    GOOGLE = "google"


#: What would begin an interpolation, and whether it ends within the string.
_TEMPLATE = re.compile(r"([$%]*)([$%])\{(?=([^\"\\}]*\})?)")

#: An argument of a resource, written in HCL already.
_Arguments = dict[str, str]


def terraform(zones: Sequence[ZoneRecords], provider: TerraformProvider) -> str:
    """Write a variable per zone and the resources; raises `CannotPublish`."""
    write, variable, what = _WRITERS[provider]
    parts = [_HEADERS[provider]]
    for zone in zones:
        place = f"{variable}_{_slug(zone.zone)}"
        about = string(f"{what} {zone.zone}.")
        parts.append(
            f'variable "{place}" {{\n  type        = string\n  description = {about}\n}}\n'
        )
        sets = record_sets(zone.records)
        # Resources are named after their records. Names do not depend on what else there is,
        # except where two come out the same.
        names = [f"{_slug(found.name)}_{found.type.value.lower()}" for found in sets]
        count = Counter(names)
        for found, name in zip(sets, names, strict=True):
            own = name if count[name] == 1 else f"{name}_{_digest(found.name)}"
            parts += write(found, own, f"var.{place}")
    return "\n".join(parts)


def _cloudflare(found: RecordSet, name: str, zone: str) -> list[str]:
    # Records of one name and type are told apart by what stays when their values change.
    names = list[str]()
    for record in found.records:
        own = name
        if record.type is RecordType.TXT and record.purpose is not None:
            own = f"{name}_{record.purpose.value.lower()}"
        elif record.type is RecordType.MX:
            own = f"{name}_{_slug(exchange(record.value)[1])}"
        names.append(own)
    return [
        _resource(
            "cloudflare_dns_record",
            own if names.count(own) == 1 else f"{own}_{_digest(record.value)}",
            {
                "zone_id": zone,
                "name": string(found.name),
                "type": string(found.type.value),
                **_cloudflare_content(found.type, record.value),
                "ttl": str(found.ttl),
                "proxied": "false",
            },
            [remark(record)],
        )
        for own, record in zip(names, found.records, strict=True)
    ]


def _cloudflare_content(kind: RecordType, value: str) -> _Arguments:
    """A TXT stands in quotation marks, or Cloudflare warns; its strings are ours, or it drifts."""
    match kind:
        case RecordType.TXT:
            return {"content": string(presentation(value))}
        case RecordType.MX:
            preference, host = exchange(value)
            return {"content": string(host), "priority": str(preference)}
        case RecordType.TLSA:
            usage, selector, matching, data = tlsa(value)
            fields = f"usage = {usage}, selector = {selector}, matching_type = {matching}"
            return {"data": f"{{ {fields}, certificate = {string(data)} }}"}
        case _:
            return {"content": string(relative_to_root(value))}


def _route53(found: RecordSet, name: str, zone: str) -> list[str]:
    values = list[str]()
    for value in found.values:
        if found.type is RecordType.TXT:
            # The provider adds the outer quotation marks; Route 53 escapes in octal.
            chunks = character_strings(value)
            values.append('""'.join(escaped(chunk, octal=True) for chunk in chunks))
        elif found.type is RecordType.MX:
            preference, host = exchange(value)
            values.append(f"{preference} {host}")
        else:
            values.append(relative_to_root(value))
    arguments = {
        "zone_id": zone,
        "name": string(found.name),
        "type": string(found.type.value),
        "ttl": str(found.ttl),
        "records": _list(values),
    }
    return [_resource("aws_route53_record", name, arguments, map(remark, found.records))]


def _google(found: RecordSet, name: str, zone: str) -> list[str]:
    arguments = {
        "managed_zone": zone,
        "name": string(absolute(found.name)),
        "type": string(found.type.value),
        "ttl": str(found.ttl),
        "rrdatas": _list(rdata(found.type, value) for value in found.values),
    }
    return [_resource("google_dns_record_set", name, arguments, map(remark, found.records))]


_Writer = Callable[[RecordSet, str, str], list[str]]
_WRITERS: dict[TerraformProvider, tuple[_Writer, str, str]] = {
    TerraformProvider.CLOUDFLARE: (_cloudflare, "zone_id", "Cloudflare zone ID of"),
    TerraformProvider.ROUTE53: (_route53, "zone_id", "Route 53 hosted zone ID of"),
    TerraformProvider.GOOGLE: (_google, "managed_zone", "Cloud DNS managed zone of"),
}
_WHOLE = "# Each resource holds all records of its name and type: add what else you have there.\n"
_HEADERS = {
    TerraformProvider.CLOUDFLARE: "# For the provider cloudflare/cloudflare, version 5.\n",
    TerraformProvider.ROUTE53: f"# For the provider hashicorp/aws.\n{_WHOLE}",
    TerraformProvider.GOOGLE: f"# For the provider hashicorp/google.\n{_WHOLE}",
}


def _resource(kind: str, name: str, arguments: _Arguments, remarks: Iterable[str]) -> str:
    """Write a resource, its arguments aligned as ``terraform fmt`` does."""
    width = max(map(len, arguments))
    lines = [f"# {comment}" for comment in remarks]
    lines += [f'resource "{kind}" "{name}" {{']
    lines += [f"  {key.ljust(width)} = {value}" for key, value in arguments.items()]
    return "\n".join([*lines, "}", ""])


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(map(string, values))}]"


def string(text: str) -> str:
    """Write a text as a quoted HCL string in which nothing is interpolated."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    written = list[str]()
    for char in text:
        code = f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
        written.append(escapes.get(char) or (char if char.isprintable() else code))
    return f'"{_TEMPLATE.sub(_literal, "".join(written))}"'


def _literal(found: re.Match[str]) -> str:
    """Write ``${`` or ``%{`` as itself: doubled, as everyone does, where it stands alone and is
    closed again; else, where not every parser understands that, with the brace as its code."""
    before, sign, closed = found.groups()
    return f"{sign}{sign}{{" if closed and not before else f"{before}{sign}\\u007b"


def _slug(name: str) -> str:
    """Make an identifier of a name: letters, digits, ``_`` and ``-``, no digit at the start."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
