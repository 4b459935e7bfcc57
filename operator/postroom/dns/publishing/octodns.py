# SPDX-License-Identifier: Apache-2.0
r"""octoDNS: one YAML file per zone, as its YamlProvider reads it.

Rules after octoDNS 1.22: names relative to the zone, the apex being ``''``; keys in natural order;
targets with trailing dot; ``;`` in TXT as ``\;`` (its ``escaped_semicolons: true``, the default up
to 2.0); no other escapes; long texts whole, octoDNS splits them.
"""

import re

import yaml

from postroom.dns.answers import RecordType
from postroom.dns.names import APEX, host_label
from postroom.dns.publishing.rdata import NAMED, absolute, exchange, tlsa
from postroom.dns.publishing.records import RecordSet, ZoneRecords, record_sets
from postroom.dns.texts.presentation import CannotPublish

#: What octoDNS takes away from inside a text, as if it stood between two character-strings.
_SEAM = '" "'


def file_name(zone: str) -> str:
    """Name the file in which octoDNS looks for a zone."""
    return f"{zone}.yaml"


def octodns(part: ZoneRecords) -> str:
    """Write the records of one zone; raises `CannotPublish`."""
    names: dict[str, list[dict[str, object]]] = {}
    for found in record_sets(part.records):
        label = host_label(found.name, part.zone)
        values = [_value(found, value) for value in found.values]
        # The keys in the order that octoDNS demands.
        entry: dict[str, object] = {"ttl": found.ttl, "type": found.type.value}
        entry |= {"value": values[0]} if len(values) == 1 else {"values": values}
        names.setdefault("" if label == APEX else label, []).append(entry)
    document: dict[str, object] = {}
    for name in sorted(names, key=natural_order):
        entries = sorted(names[name], key=lambda entry: str(entry["type"]))
        document[name] = entries[0] if len(entries) == 1 else entries
    header = (
        f"# {file_name(part.zone)}, for a YamlProvider with escaped_semicolons: true\n"
        "# Each entry holds all records of its name and type: add what else you have there.\n"
    )
    return f"{header}---\n{yaml.safe_dump(document, sort_keys=False, width=2**20)}"


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Order names as octoDNS demands: runs of digits by their number, which go before letters."""
    runs = [run for run in re.split(r"([0-9]+)", name) if run]
    return [(0, int(run), "") if run.isdecimal() else (1, 0, run) for run in runs]


def _value(found: RecordSet, value: str) -> object:
    if found.type is RecordType.TXT:
        if not value.isascii() or "\\;" in value:
            raise CannotPublish(
                f"octoDNS takes only ASCII without a backslash before a semicolon, which the TXT "
                f"at {found.name} is not: choose another format."
            )
        # A seam inside a seam survives the one that octoDNS takes away.
        text = re.sub(r'"(?= ")', lambda _: f'"{_SEAM}', value).replace(";", "\\;")
        return f'"{text}"' if text.startswith('"') else text
    if found.type in NAMED:
        return absolute(value)
    if found.type is RecordType.MX:
        preference, host = exchange(value)
        return {"exchange": absolute(host), "preference": preference}
    if found.type is RecordType.TLSA:
        usage, selector, matching, data = tlsa(value)
        return {
            "certificate_association_data": data,
            "certificate_usage": usage,
            "matching_type": matching,
            "selector": selector,
        }
    return value
