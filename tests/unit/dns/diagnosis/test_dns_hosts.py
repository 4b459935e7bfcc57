# SPDX-License-Identifier: Apache-2.0
"""DNS hosts: recognised by their name servers, and what to type as a name at each."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.data_files import InvalidData, validate
from postroom.dns.diagnosis.dns_hosts import (
    DNSHost,
    DNSHosts,
    NameForm,
    dns_hosts,
    host_of,
    hosts_of,
    label_for,
)

KNOWN = [
    ("amy.ns.cloudflare.com", "Cloudflare"),
    ("NS-2001.awsdns-58.co.uk.", "Amazon Route 53"),
    ("ns71.domaincontrol.com", "GoDaddy"),
    ("dns1.registrar-servers.com", "Namecheap"),
    ("ns-cloud-b1.googledomains.com", "Squarespace or Google Cloud DNS"),
    ("ns1-04.azure-dns.com", "Azure DNS"),
    ("ns1045.ui-dns.biz", "IONOS"),
    ("dns104.ovh.net", "OVHcloud"),
    ("ns-21-a.gandi.net", "Gandi"),
    ("helium.ns.hetzner.de", "Hetzner"),
    ("ns1.digitalocean.com", "DigitalOcean"),
    ("curitiba.ns.porkbun.com", "Porkbun"),
    ("ns2.wixdns.net", "Wix"),
    ("ns1.dns-parking.com", "Hostinger"),
    ("ns2.dnsimple-edge.net", "DNSimple"),
    ("dns1.p01.nsone.net", "NS1"),
    ("ns1.vercel-dns.com", "Vercel"),
    ("dns2.p04.netlifydns.com", "Netlify"),
    ("ns0.transip.net", "TransIP"),
    ("ns11.infomaniak.ch", "Infomaniak"),
    ("shades01.rzone.de", "Strato"),
    ("ns01.one.com", "one.com"),
    ("ns1.loopia.se", "Loopia"),
]
UNKNOWN = ["", ".", "ns1.example.net", "notdomaincontrol.com", "ns-1.awsdns-1.com", "x" * 5000]


def custom(**facts: object) -> DNSHost:
    row = {"name": "X", "suffixes": ["x.net"], "source": "https://x.net", "checked": "2026-11-21"}
    [host] = validate("f.yaml", yaml.safe_dump({"hosts": [row | facts]}), DNSHosts).hosts
    return host


@pytest.mark.parametrize(("nameserver", "name"), KNOWN)
def test_a_host_is_known_by_its_name_server(nameserver: str, name: str) -> None:
    found = host_of([nameserver])
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("nameserver", UNKNOWN)
def test_others_are_not_known(nameserver: str) -> None:
    assert host_of([nameserver]) is None


def test_two_hosts_are_none() -> None:
    mixed = ["amy.ns.cloudflare.com", "ns71.domaincontrol.com"]
    assert host_of(mixed) is None
    assert [host.name for host in hosts_of(mixed)] == ["Cloudflare", "GoDaddy"]
    assert host_of(["amy.ns.cloudflare.com", "ns1.example.net"]) is None
    assert host_of([]) is None


def test_there_are_enough_of_them() -> None:
    assert len(dns_hosts()) >= 30


@pytest.mark.parametrize(
    ("nameserver", "name", "label"),
    [
        ("amy.ns.cloudflare.com", "k1._domainkey.example.com", "k1._domainkey"),
        ("amy.ns.cloudflare.com", "example.com", "@"),
        ("ns-1.awsdns-11.com", "example.com", ""),
        ("curitiba.ns.porkbun.com", "example.com", ""),
        ("ns-1.awsdns-11.com", "_dmarc.send.example.com", "_dmarc.send"),
        ("ns1.example.net", "_dmarc.example.com", "_dmarc"),
        ("ns1.example.net", "example.com", "@"),
        ("ns1.dnsimple.com", "example.com", "@"),
    ],
)
def test_what_to_type(nameserver: str, name: str, label: str) -> None:
    assert label_for(name, "example.com", host_of([nameserver])) == label


def test_what_to_type_where_little_is_known() -> None:
    cloudflare = host_of(["amy.ns.cloudflare.com"])
    assert label_for("_dmarc.example.com", None, cloudflare) == "_dmarc.example.com"
    assert label_for("example.net", "example.com", cloudflare) == "example.net"


def test_complete_names_and_the_zone_itself() -> None:
    host = custom(names="Absolute", apex="{zone}")
    assert host.names is NameForm.ABSOLUTE
    assert label_for("a.example.com", "example.com", host) == "a.example.com"
    assert label_for("example.com", "example.com", host) == "example.com"


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"suffixes": []}, "suffixes or a pattern"),
        ({"pattern": "("}, "no regular expression"),
        ({"apex": "root"}, "hosts.0.apex"),
        ({"proxy": "no"}, "hosts.0.proxy"),
    ],
)
def test_a_wrong_row(facts: dict[str, object], what: str) -> None:
    with pytest.raises(InvalidData, match=what):
        custom(**facts)


def test_no_suffix_belongs_to_two() -> None:
    row = {"suffixes": ["x.net"], "source": "https://x.net", "checked": "2026-11-21"}
    rows = {"hosts": [row | {"name": "A"}, row | {"name": "B"}]}
    with pytest.raises(InvalidData, match=r"suffix x\.net is listed twice"):
        validate("f.yaml", yaml.safe_dump(rows), DNSHosts)


@given(st.lists(st.text(max_size=300), max_size=5), st.text(max_size=80), st.text(max_size=80))
def test_no_name_breaks_it(nameservers: list[str], name: str, zone: str) -> None:
    host = host_of(nameservers)
    assert host is None or host in hosts_of(nameservers)
    assert len(label_for(name, zone, host)) <= max(len(name), 1)
