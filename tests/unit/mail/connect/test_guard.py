# SPDX-License-Identifier: Apache-2.0
"""The dial guard: what may be dialled, in every disguise of an address."""

from __future__ import annotations

import ipaddress
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.hosts import AliasedAddresses
from postroom.api.reasons import Reason
from postroom.mail.connect import guard
from postroom.mail.connect.guard import (
    Denied,
    DialPolicy,
    judge_addresses,
    judge_port,
    may_dial,
    unwrapped,
)
from rows import over

STRICT = DialPolicy()
LOOPBACK = DialPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
EVERYTHING = DialPolicy(
    allowed_networks=(ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
)


def denied(address: str, policy: DialPolicy = STRICT, host: str = "smtp.example.com") -> bool:
    return judge_addresses(host, [address], "mail", policy) is not None


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert not denied(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "fd00::1",
        "169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "192.0.2.1",
        "198.18.0.1",
        "2001:db8::1",
        "3fff::1",
        "fec0::1",
        "4000::1",
        "64:ff9b:1::a00:1",
        "::10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:a00:1::1",
        # Teredo: a public server, and the client 10.0.0.1 with every bit flipped
        "2001:0:808:808::f5ff:fffe",
        # ISATAP, locally and universally numbered
        "2a00:1450::5efe:a00:1",
        "2a00:1450::200:5efe:a00:1",
    ],
)
def test_inner_addresses_are_denied(address: str) -> None:
    assert denied(address)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "2001:0:808:808::5601:5601",
        "fe80::1%eth0",
        "2606:4700::1%eth0",
    ],
)
def test_some_addresses_no_setting_opens(address: str) -> None:
    found = judge_addresses("x.example.com", [address], "mail", EVERYTHING)
    assert found is not None
    assert "--allow-cidr" not in found.sentence


#: What clouds offer to what runs in them.
METADATA = [
    "169.254.169.254",
    "169.254.169.253",
    "169.254.169.123",
    "169.254.170.2",
    "169.254.170.23",
    "169.254.0.23",
    "169.254.42.42",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "fd20:ce::254",
    "fd00:ec2::254",
    "fd00:ec2::253",
    "fd00:ec2::23",
    "fd00:42::42",
    "fd00:c1::a9fe:a9fe",
    "fd00:a9fe:a9fe::1",
    "fd00:100::100:200",
    "fe80::a9fe:a9fe",
]
IPV4 = [one for one in METADATA if "." in one]
#: Every way in which IPv6 carries an IPv4 address to where it means that one.
DISGUISES = [
    "::ffff:{low}",  # mapped, RFC 4291 2.5.5.2
    "::{low}",  # compatible, RFC 4291 2.5.5.1
    "::ffff:0:{low}",  # translated, RFC 2765 2.1
    "64:ff9b::{low}",  # NAT64, RFC 6052
    "64:ff9b:1::{low}",  # NAT64 of one's own, RFC 8215, 96 bits
    "64:ff9b:1:{high}:{split}::",  # the same with 48 bits
    "2001:db8:64::{low}",  # NAT64 with a prefix of the network's own
    "2606:4700:64::{low}",
    "2002:{both}::1",  # 6to4, RFC 3056
    "2001:0:{both}:0:0:f5ff:fffe",  # the server of Teredo, RFC 4380
    "2001:0:808:808:0:0:{flipped}",  # its client
    "2001:db8::5efe:{low}",  # ISATAP, RFC 5214
    "2001:db8::200:5efe:{low}",
]


def disguised(form: str, address: str) -> str:
    number = int(ipaddress.IPv4Address(address))
    flipped = number ^ 0xFFFFFFFF
    return form.format(
        low=f"{number >> 16:x}:{number & 0xFFFF:x}",
        both=f"{number >> 16:x}:{number & 0xFFFF:x}",
        flipped=f"{flipped >> 16:x}:{flipped & 0xFFFF:x}",
        high=f"{number >> 16:x}",
        split=f"{number >> 8 & 0xFF:x}:{(number & 0xFF) << 8:x}",
    )


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("host", ["x.example.com", "postfix.mail.svc"])
def test_metadata_of_clouds_is_never_dialled(address: str, host: str) -> None:
    own = DialPolicy((ipaddress.ip_network(address),))
    for policy in (STRICT, EVERYTHING, own):
        found = judge_addresses(host, [address], "mail", policy)
        assert found is not None
        assert "--allow-cidr" not in found.sentence
        assert not may_dial(address, policy)


@over(product(DISGUISES, [*IPV4, "169.254.1.1"]))
def test_nor_in_any_disguise(hidden: tuple[str, str]) -> None:
    text = disguised(*hidden)
    assert ipaddress.ip_address(text).version == 6
    found = judge_addresses("x.example.com", [text], "mail", EVERYTHING)
    assert found is not None, text
    assert "--allow-cidr" not in found.sentence


@given(st.sampled_from(DISGUISES), st.ip_addresses(v=4, network="169.254.0.0/16").map(str))
def test_no_address_of_a_link_in_any_disguise(form: str, address: str) -> None:
    assert denied(disguised(form, address), EVERYTHING)


def embed(prefix: int, length: int, address: int, suffix: int = 0, u: int = 0) -> str:
    """Write an IPv4 address behind a prefix (RFC 6052 section 2.2), bit by bit."""
    bits = f"{prefix:0128b}"[:length]
    rest = f"{address:032b}"
    if length == 96:
        bits = bits[:64] + f"{u:08b}" + bits[72:] + rest
    else:
        before = 64 - length
        bits += rest[:before] + f"{u:08b}" + rest[before:]
        bits += f"{suffix:0128b}"[-(128 - len(bits)) :]
    return str(ipaddress.IPv6Address(int(bits, 2)))


@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        # The table of RFC 6052 section 2.4: 192.0.2.33 behind each length.
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
    ],
)
def test_where_a_translator_s_prefix_puts_ipv4(prefix: str, text: str) -> None:
    network = ipaddress.IPv6Network(prefix)
    inner = ipaddress.IPv4Address("192.0.2.33")
    assert embed(int(network.network_address), network.prefixlen, int(inner)) == str(
        ipaddress.IPv6Address(text)
    )
    assert guard.translated(ipaddress.IPv6Address(text), network.prefixlen) == inner


LENGTHS = st.sampled_from([32, 40, 48, 56, 64, 96])
#: Prefixes that are handed out, all bits of which may be in use, those from 64 to 95 too.
PREFIXES = st.integers(0, 2**125 - 1).map(lambda bits: 1 << 125 | bits)
OCTETS = st.integers(0, 255)


@given(
    PREFIXES,
    LENGTHS,
    st.sampled_from(IPV4).map(ipaddress.IPv4Address),
    st.integers(0, 2**56 - 1),
    OCTETS,
)
def test_metadata_behind_any_prefix_of_a_translator(
    prefix: int, length: int, address: ipaddress.IPv4Address, suffix: int, u: int
) -> None:
    """A translator need not look at the octet u and the suffix: nor do they help anybody."""
    text = embed(prefix, length, int(address), suffix, u)
    for policy in (STRICT, EVERYTHING):
        assert denied(text, policy), text
        assert denied(text, policy, "postfix.mail.svc")
        assert not may_dial(text, policy)


@given(PREFIXES, LENGTHS, st.ip_addresses(v=4, network="169.254.0.0/16").map(int))
def test_a_link_behind_any_prefix_of_a_translator(prefix: int, length: int, address: int) -> None:
    assert denied(embed(prefix, length, address), EVERYTHING)


@given(PREFIXES, LENGTHS, st.ip_addresses(v=4, network="10.0.0.0/8").map(int))
def test_the_api_server_behind_any_prefix_of_a_translator(
    prefix: int, length: int, address: int
) -> None:
    policy = DialPolicy(
        EVERYTHING.allowed_networks, denied_networks=(ipaddress.ip_network(address),)
    )
    assert denied(embed(prefix, length, address), policy)


@pytest.mark.parametrize("length", [32, 40, 48, 56, 64, 96])
def test_what_a_translator_writes_has_zeros_where_it_must(length: int) -> None:
    """RFC 6052 section 2.2: the octet u and all of the suffix are zero; the prefix is anything."""
    inner = ipaddress.IPv4Address("198.51.77.135")
    policy = DialPolicy(EVERYTHING.allowed_networks, denied_networks=(ipaddress.ip_network(inner),))
    prefix = int(ipaddress.IPv6Address("2a00:1450:4025:1137:0:5b6d:8d9b:0"))
    number = int(ipaddress.IPv6Address(embed(prefix, length, int(inner))))
    changed = {at: ipaddress.IPv6Address(number ^ 1 << 127 - at) for at in range(128)}
    stays_denied = {at for at, address in changed.items() if not may_dial(str(address), policy)}
    assert stays_denied == set(range(length)) - set(range(64, 72))


INNER = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10"]


@given(
    st.sampled_from(
        [
            "::ffff:{low}",
            "::{low}",
            "::ffff:0:{low}",
            "64:ff9b::{low}",
            "64:ff9b:1::{low}",
            "2002:{both}::1",
            "2002:{both}:ffff:1:2:3:4",
            "2001:0:{both}:0:0:f5ff:fffe",
            "2001:0:808:808:0:0:{flipped}",
            "2a00:1450::5efe:{low}",
            "2a00:1450:1:2:200:5efe:{low}",
        ]
    ),
    st.sampled_from(INNER).flatmap(lambda one: st.ip_addresses(v=4, network=one)).map(str),
)
def test_inner_addresses_in_every_known_disguise(form: str, address: str) -> None:
    """The prefixes and forms that everybody knows: not only metadata is denied there."""
    assert denied(disguised(form, address)), disguised(form, address)
    assert not may_dial(disguised(form, address), STRICT)


@given(LENGTHS, st.ip_addresses(v=4).map(int), st.integers(0, 2**56 - 1), OCTETS)
def test_the_translators_own_range_is_closed(
    length: int, address: int, suffix: int, u: int
) -> None:
    """64:ff9b:1::/48 (RFC 8215) belongs to whoever runs the network, whatever is inside."""
    prefix = int(ipaddress.IPv6Address("64:ff9b:1::"))
    assert denied(embed(prefix, max(length, 48), address, suffix, u))


@pytest.mark.parametrize(
    "address",
    [
        # Networks whose numbers look like an inner address, with a host in them.
        "2a01:4f8:a60:1::2",
        "2a01:4f8:a00:1::25",
        "2a01:4f8:a9fe:1::2",
        "2a01:4f8:1:a9fe::2",
        "2607:f8b0:4004:c1b::1b",
        "2a00:1450:4025:c03::1a",
        "2a01:111:f403:c000::1",
        # Next to the identifiers of ISATAP.
        "2a00:1450::5efd:a00:1",
        "2a00:1450::5eff:a00:1",
        "2a00:1450::200:5eff:a00:1",
        "2a00:1450:0:0:8000:5efe:a00:1",
    ],
)
def test_hosts_in_networks_that_look_like_inner_addresses(address: str) -> None:
    policy = DialPolicy(denied_networks=(ipaddress.ip_network("10.96.0.1"),))
    assert not denied(address, policy)


@pytest.mark.parametrize("host", ["postfix.mail.svc", "postfix.mail.svc.cluster.local"])
@pytest.mark.parametrize("address", ["10.96.0.7", "100.64.0.7", "fd12::7", "172.20.0.1"])
def test_an_external_name_is_no_service_of_one_s_own(host: str, address: str) -> None:
    """DNS answers for a Service of type ExternalName with an alias: it leads anywhere."""
    found = judge_addresses(host, AliasedAddresses([address]), "mail", STRICT)
    assert found is not None
    assert "private" in found.sentence
    opened = DialPolicy((ipaddress.ip_network(f"{address}"),))
    assert judge_addresses(host, AliasedAddresses([address]), "mail", opened) is None
    public = AliasedAddresses(["8.8.8.8"])
    assert judge_addresses(host, public, "mail", STRICT) is None


@pytest.mark.parametrize("form", ["::ffff:0:{low}", "2001:db8::5efe:{low}", "64:ff9b::{low}"])
def test_inner_addresses_in_disguise_stay_closed_until_opened(form: str) -> None:
    text = disguised(form, "10.1.2.3")
    assert denied(text)
    assert denied(text, LOOPBACK)


def test_the_api_server_in_disguise() -> None:
    policy = DialPolicy(
        allowed_networks=EVERYTHING.allowed_networks,
        denied_networks=(ipaddress.ip_network("10.0.0.1/32"),),
    )
    for form in DISGUISES:
        assert denied(disguised(form, "10.0.0.1"), policy), form


@pytest.mark.parametrize(
    "host",
    [
        "metadata.google.internal",
        "METADATA.google.internal.",
        "metadata",
        "instance-data.ec2.internal",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ],
)
def test_names_of_metadata_and_of_the_api_server(host: str) -> None:
    for namespace in ("mail", "default"):
        found = judge_addresses(host, ["10.96.0.1"], namespace, EVERYTHING)
        assert found is not None
        assert "--allow-cidr" not in found.sentence


def test_each_row_of_what_is_never_dialled_has_its_source() -> None:
    data = guard._never_dialled()
    assert all(row.source.startswith("https://") for row in (*data.networks, *data.hosts))
    assert len({row.network for row in data.networks}) == len(data.networks)


@given(
    st.integers(0, 2**32 - 1),
    # Where the octet after the network is zero, it may be a translator's (RFC 6052 section 2.2).
    st.integers(2**24, 2**32 - 1).filter(lambda one: one != 0x2005EFE),
    st.integers(0, 2**32 - 1),
)
def test_public_ipv6_is_not_taken_for_a_disguise(network: int, middle: int, low: int) -> None:
    """Neither machines that number themselves nor those that are numbered by hand."""
    prefix = 0x2A000000 << 96 | network << 64
    assert not denied(str(ipaddress.IPv6Address(prefix | middle << 32 | low)))
    assert not denied(str(ipaddress.IPv6Address(prefix | low & 0xFFFF)))


def test_the_sentence_names_the_kind_and_never_the_address() -> None:
    found = judge_addresses("x.example.com", ["10.1.2.3"], "mail", STRICT)
    assert found is not None
    assert "(private)" in found.sentence
    assert "--allow-cidr" in found.sentence
    assert "10.1" not in found.sentence


def test_the_lab_is_opened_by_setting() -> None:
    assert not denied("127.0.0.1", LOOPBACK)


def test_one_denied_address_denies_the_name() -> None:
    assert judge_addresses("x.example.com", ["8.8.8.8", "10.0.0.1"], "mail", STRICT) is not None


def test_the_api_server_is_denied_even_inside_an_opened_range() -> None:
    policy = DialPolicy(
        allowed_networks=(ipaddress.ip_network("10.0.0.0/8"),),
        denied_networks=(ipaddress.ip_network("10.0.0.1/32"),),
    )
    assert denied("10.0.0.1", policy)
    assert not denied("10.0.0.2", policy)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("postfix.mail.svc", True),
        ("postfix.mail.svc.cluster.local", True),
        ("postfix.other.svc", False),
        ("postfix.mail.svc.example.com", False),
        ("mail.svc", False),
    ],
)
def test_services_of_the_own_namespace(host: str, allowed: bool) -> None:
    assert denied("10.96.0.7", host=host) is not allowed
    assert denied("127.0.0.1", host=host)


def test_services_of_a_cluster_with_a_domain_of_its_own() -> None:
    policy = DialPolicy(cluster_domains=("k8s.corp.example", "cluster.local"))
    for host in ("postfix.mail.svc", "postfix.mail.svc.k8s.corp.example"):
        assert judge_addresses(host, ["10.96.0.7"], "mail", policy) is None
        assert judge_addresses(host, ["10.96.0.7"], "other", policy)
        assert judge_addresses(host, AliasedAddresses(["10.96.0.7"]), "mail", policy)
    elsewhere = "postfix.mail.svc.evil.example"
    assert judge_addresses(elsewhere, ["10.96.0.7"], "mail", policy)
    # The API server is a Service of a namespace in which others may live, too.
    for host in ("kubernetes.default.svc", "kubernetes.default.svc.k8s.corp.example."):
        found = judge_addresses(host, ["10.96.0.1"], "default", policy)
        assert found is not None and "(metadata)" in found.sentence


@pytest.mark.parametrize("address", ["10.96.0.7", "100.64.0.7", "fd12::7", "172.20.0.1"])
def test_services_may_have_any_private_address(address: str) -> None:
    assert not denied(address, host="postfix.mail.svc")


@pytest.mark.parametrize("address", ["192.0.2.7", "198.18.0.7", "240.0.0.7", "2001:db8::7"])
def test_no_service_has_a_reserved_address(address: str) -> None:
    found = judge_addresses("postfix.mail.svc", [address], "mail", STRICT)
    assert found is not None
    assert "(reserved)" in found.sentence


@pytest.mark.parametrize(
    ("address", "inner"),
    [
        ("::1", None),
        ("::ffff", None),
        ("::1:0", "0.1.0.0"),
        ("::10.0.0.7", "10.0.0.7"),
        ("::255.255.255.255", "255.255.255.255"),
        ("::1:10.0.0.7", None),
    ],
)
def test_what_a_compatible_address_carries(address: str, inner: str | None) -> None:
    """The lowest 16 bits alone are no IPv4 address: ::1 is loopback, not 0.0.0.1."""
    whole = ipaddress.IPv6Address(address)
    carried = () if inner is None else (ipaddress.IPv4Address(inner),)
    assert guard.embedded(whole) == carried
    assert guard.unwrapped(whole) == (carried[0] if carried else whole)


def test_a_teredo_address_is_that_of_its_client() -> None:
    """RFC 4380 section 4: the server only tells the way to it."""
    whole = ipaddress.IPv6Address("2001:0:808:808::f5ff:fffe")
    assert guard.unwrapped(whole) == ipaddress.IPv4Address("10.0.0.1")
    assert set(guard.embedded(whole)) == {
        ipaddress.IPv4Address("8.8.8.8"),
        ipaddress.IPv4Address("10.0.0.1"),
    }


def test_no_port_is_allowed_but_those_of_mail() -> None:
    allowed = [port for port in range(65536) if judge_port(port, STRICT) is None]
    assert allowed == [25, 143, 465, 587, 993, 2465, 2525, 2587]


@pytest.mark.parametrize("port", [22, 80, 443, 6379, 6443, 0, 65535])
def test_other_ports(port: int) -> None:
    assert judge_port(port, STRICT) is not None


def test_ports() -> None:
    assert judge_port(587, STRICT) is None
    assert judge_port(1025, DialPolicy(allowed_ports=frozenset({1025}))) is None
    refused = judge_port(6379, STRICT)
    assert isinstance(refused, Denied)
    assert refused.reason is Reason.PORT_DENIED


@given(st.ip_addresses(v=4))
def test_wrapping_changes_no_verdict(address: ipaddress.IPv4Address) -> None:
    packed = int(address)
    wrapped = [
        ipaddress.IPv6Address((0xFFFF << 32) | packed),
        ipaddress.IPv6Address((0x64FF9B << 96) | packed),
        ipaddress.IPv6Address((0x2002 << 112) | (packed << 80)),
    ]
    for one in wrapped:
        assert unwrapped(one) == address
        assert denied(str(one)) == denied(str(address))


@given(st.ip_addresses())
def test_nothing_denied_for_good_is_opened(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if unwrapped(address).is_link_local or unwrapped(address).is_multicast:
        assert denied(str(address), EVERYTHING)


@given(st.ip_addresses(), st.ip_addresses())
def test_a_denied_network_wins_over_all(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    other: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    policy = DialPolicy(
        allowed_networks=EVERYTHING.allowed_networks,
        denied_networks=(ipaddress.ip_network(address),),
    )
    found = judge_addresses("postfix.mail.svc", [str(other), str(address)], "mail", policy)
    assert found is not None


@given(st.text(max_size=20))
def test_no_text_gets_past(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        assert denied(text)


@pytest.mark.parametrize(
    "spelling",
    [
        *("192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201", "::192.0.2.1"),
        *("64:ff9b::192.0.2.1", "2002:c000:201::", "2002:c000:201::25"),
    ],
)
def test_all_spellings_of_an_address_are_one(spelling: str) -> None:
    assert guard.same_for_all_spellings(spelling) == "192.0.2.1"


@pytest.mark.parametrize("other", ["2001:db8::1", "fe80::1%eth0", "::1", "192.0.2.2"])
def test_other_addresses_are_themselves(other: str) -> None:
    assert guard.same_for_all_spellings(other) == other
