# SPDX-License-Identifier: Apache-2.0
"""Reads every format back with a parser that is not ours: what was meant is what is published."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone
import hcl2
import yaml
from octodns.provider.yaml import YamlProvider  # type: ignore[import-untyped]
from octodns.zone import Zone as OctoZone  # type: ignore[import-untyped]

from postroom.dns.publishing.records import PublishedRecord, ZoneRecords

#: Name without trailing dot, type, and the wire form of the data, with a TXT's strings joined.
Fact = tuple[str, str, bytes]


def facts(records: Iterable[PublishedRecord]) -> set[Fact]:
    """What the records say, by way of dnspython where the value is not text."""
    return {_fact(record) for record in records}


def _fact(one: PublishedRecord) -> Fact:
    if one.type.value == "TXT":
        return one.name, "TXT", one.value.encode("latin-1")
    dotted = one.value if one.type.value in ("A", "AAAA", "TLSA") else f"{one.value}."
    return parsed(one.name, one.type.value, dotted.replace("..", "."))


def parsed(name: str, kind: str, text: str) -> Fact:
    """Parse data in presentation form."""
    data = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), text)
    return name, kind, _wire(data)


def _wire(data: Any) -> bytes:
    if data.rdtype == dns.rdatatype.TXT:
        assert all(len(string) <= 255 for string in data.strings)
        return b"".join(data.strings)
    wire: bytes = data.to_digestable()
    return wire


def from_zone_file(text: str, *, whole: bool = False) -> set[Fact]:
    """Read a zone file; one that is `whole` has SOA and NS, which are left out."""
    zone = dns.zone.from_text(text, relativize=False, check_origin=whole)
    return {
        (str(name).removesuffix("."), data.rdtype.name, _wire(data))
        for name, _, data in zone.iterate_rdatas()
        if not (whole and data.rdtype in (dns.rdatatype.SOA, dns.rdatatype.NS))
    }


def from_octodns(text: str, part: ZoneRecords) -> set[Fact]:
    """Load the file with octoDNS itself, which validates it."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / f"{part.zone}.yaml").write_text(text)
        provider = YamlProvider("test", directory, escaped_semicolons=True)
        zone = OctoZone(f"{part.zone}.", [])
        provider.populate(zone)
    return {
        parsed(record.fqdn.removesuffix("."), record._type, value.to_rdata_text())
        for record in zone.records
        for value in getattr(record, "values", None) or [record.value]
    }


def from_dns_endpoints(text: str) -> set[Fact]:
    """Read DNSEndpoints, and hold them against what external-dns demands."""
    found = set()
    for one in yaml.load_all(text, Loader=yaml.CSafeLoader):
        assert (one["apiVersion"], one["kind"]) == ("externaldns.k8s.io/v1alpha1", "DNSEndpoint")
        keys = [(each["dnsName"], each["recordType"]) for each in one["spec"]["endpoints"]]
        assert len(keys) == len(set(keys))
        for each in one["spec"]["endpoints"]:
            assert not any(target.endswith(".") for target in each["targets"])
            assert isinstance(each["recordTTL"], int)
            assert set(each) == {"dnsName", "recordTTL", "recordType", "targets"}
            for target in each["targets"]:
                found.add(parsed(each["dnsName"], each["recordType"], _dotted(each, target)))
    return found


def _dotted(endpoint: dict[str, Any], target: str) -> str:
    return f"{target}." if endpoint["recordType"] in ("CNAME", "MX", "NS", "PTR") else target


def resources(text: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Read HCL: type, name and arguments of every resource, strings unquoted."""
    for block in hcl2.loads(text)["resource"]:
        for kind, named in block.items():
            for name, arguments in named.items():
                plain = {key: _plain(value) for key, value in arguments.items()}
                yield _plain(kind), _plain(name), plain


_ESCAPES = re.compile(r'\\(?:(["\\nrt])|u([0-9a-f]{4}))|([$%])\3\{')
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not (isinstance(value, str) and value.startswith('"')):
        return value
    body = value[1:-1]
    # Whatever is not escaped would be interpolated.
    assert not re.search(r"(?<![$%])[$%]\{", body)
    return _ESCAPES.sub(_unescape, body)


def _unescape(found: re.Match[str]) -> str:
    char, code, sign = found.groups()
    if sign:
        return f"{sign}{{"
    return chr(int(code, 16)) if code else _CONTROL.get(char, char)


def from_cloudflare(text: str) -> set[Fact]:
    """Read Cloudflare's resources."""
    found = set()
    for kind, _, one in resources(text):
        assert (kind, one["proxied"]) == ("cloudflare_dns_record", False)
        match one["type"]:
            case "TLSA":
                data = {key: _plain(value) for key, value in one["data"].items()}
                keys = ("usage", "selector", "matching_type", "certificate")
                content = " ".join(str(data[key]) for key in keys)
            case "MX":
                content = f"{one['priority']} {one['content'].rstrip('.')}."
            case "CNAME" | "NS":
                content = f"{one['content']}."
            case _:
                content = one["content"]
        found.add(parsed(one["name"], one["type"], content))
    return found


def from_route53(text: str) -> set[Fact]:
    """Read Route 53's resources, as the provider sends them and Route 53 takes them."""
    found = set()
    for kind, _, one in resources(text):
        assert kind == "aws_route53_record"
        for value in one["records"]:
            if one["type"] == "TXT":
                strings = _octal_strings(f'"{value}"')
                assert all(len(each) <= 255 for each in strings)
                found.add((one["name"], "TXT", b"".join(strings)))
            else:
                dotted = value if one["type"] in ("A", "AAAA", "TLSA") else f"{value}."
                found.add(parsed(one["name"], one["type"], dotted.replace("..", ".")))
    return found


def _octal_strings(text: str) -> Sequence[bytes]:
    """Take quoted strings apart whose escapes are octal."""
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    assert "".join(f'"{one}"' for one in strings) == text
    return [
        re.sub(
            r"\\([0-7]{3})|\\(.)",
            lambda one: chr(int(one[1], 8)) if one[1] else one[2],
            string,
        ).encode("latin-1")
        for string in strings
    ]


def from_google(text: str) -> set[Fact]:
    """Read Google Cloud DNS's resources."""
    found = set()
    for kind, _, one in resources(text):
        assert kind == "google_dns_record_set"
        assert one["name"].endswith(".")
        for value in one["rrdatas"]:
            found.add(parsed(one["name"].removesuffix("."), one["type"], value))
    return found
