# SPDX-License-Identifier: Apache-2.0
"""DNS hosts: what a nice one makes of what is typed, and every quirk on its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsworld.hosts import PROXY_ADDRESSES, DNSHost
from dnsworld.quirks import NICE, QUIRKS, HostRefusal, LongText, Quirks, read_name, read_text
from dnsworld.rdata import strings_of
from dnsworld.world import World

APEX = "example.com"


def a_host(quirk: str = "nice") -> DNSHost:
    world = World()
    world.publish("target.example.net", "A", "192.0.2.7")
    world.publish("target.example.net", "TXT", "there")
    return DNSHost(world, world.register(APEX), QUIRKS[quirk])


def records(host: DNSHost) -> set[tuple[str, str, str]]:
    """All records but those of the name servers."""
    return {
        (name, kind, value)
        for name, kind, _ in host.zone.records()
        if kind != "NS"
        for value in host.zone.values(name, kind)
    }


@pytest.mark.parametrize(
    "typed", ["k1._domainkey", "k1._domainkey.example.com", "K1._domainkey.example.com."]
)
def test_a_nice_host_understands_relative_and_absolute_names(typed: str) -> None:
    host = a_host()
    host.add(typed, "TXT", "value")
    assert records(host) == {("k1._domainkey.example.com", "TXT", "value")}


@pytest.mark.parametrize("typed", ["", "@", "example.com", "example.com."])
def test_a_nice_host_understands_the_apex(typed: str) -> None:
    host = a_host()
    host.add(typed, "MX", "10 mx.example.net")
    assert records(host) == {("example.com", "MX", "10 mx.example.net")}


@pytest.mark.parametrize(
    ("quirk", "name", "kind", "value", "published"),
    [
        ("appends-zone", "_dmarc.example.com", "TXT", "v",
         {("_dmarc.example.com.example.com", "TXT", "v")}),
        ("appends-zone", "_dmarc.example.com.", "TXT", "v", {("_dmarc.example.com", "TXT", "v")}),
        ("appends-zone", "_dmarc", "TXT", "v", {("_dmarc.example.com", "TXT", "v")}),
        ("appends-zone-always", "a.example.com.", "TXT", "v",
         {("a.example.com.example.com", "TXT", "v")}),
        ("literal-at", "@", "TXT", "v", {(r"\@.example.com", "TXT", "v")}),
        ("strips-underscores", "_dmarc", "TXT", "v", {("dmarc.example.com", "TXT", "v")}),
        ("keeps-quotes", "", "TXT", '"v=spf1"', {("example.com", "TXT", '"v=spf1"')}),
        ("adds-quotes", "", "TXT", "v=spf1", {("example.com", "TXT", '"v=spf1"')}),
        ("truncates", "", "TXT", "x" * 300, {("example.com", "TXT", "x" * 255)}),
        ("splits-into-records", "", "TXT", "a" * 255 + "b",
         {("example.com", "TXT", "a" * 255), ("example.com", "TXT", "b")}),
        ("joins-with-space", "", "TXT", '"ab" "cd"', {("example.com", "TXT", "ab cd")}),
        ("lowercases", "", "TXT", "p=AbC+", {("example.com", "TXT", "p=abc+")}),
        ("plus-to-space", "", "TXT", "p=Ab+c", {("example.com", "TXT", "p=Ab c")}),
        ("escapes-semicolons", "", "TXT", "a; b", {("example.com", "TXT", r"a\; b")}),
        ("appends-zone-to-targets", "w", "CNAME", "target.example.net",
         {("w.example.com", "CNAME", "target.example.net.example.com")}),
        ("appends-zone-to-targets", "w", "CNAME", "target.example.net.",
         {("w.example.com", "CNAME", "target.example.net")}),
        ("appends-zone-to-targets", "", "MX", "10 mx.example.net",
         {("example.com", "MX", "10 mx.example.net.example.com")}),
        ("joins-preference", "", "MX", "5 mx.example.net",
         {("example.com", "MX", r"10 5\032mx.example.net")}),
        ("flattens", "w", "CNAME", "target.example.net",
         {("w.example.com", "A", "192.0.2.7"), ("w.example.com", "TXT", "there")}),
        ("proxies", "w", "CNAME", "target.example.net",
         {("w.example.com", "A", one) for one in PROXY_ADDRESSES}),
        ("wildcard", "a", "TXT", "v",
         {("*.example.com", "TXT", "parked"), ("*.example.com", "A", "203.0.113.80"),
          ("a.example.com", "TXT", "v")}),
    ],
)  # fmt: skip
def test_quirks(
    quirk: str, name: str, kind: str, value: str, published: set[tuple[str, str, str]]
) -> None:
    host = a_host(quirk)
    host.add(name, kind, value)
    assert records(host) == published


def test_a_long_text_is_refused() -> None:
    with pytest.raises(HostRefusal, match="255"):
        a_host("refuses-long").add("", "TXT", "x" * 256)


def test_an_alias_beside_other_records() -> None:
    for first, second in (("CNAME", "TXT"), ("TXT", "CNAME")):
        strict, lax = a_host(), a_host("alias-beside")
        for host in (strict, lax):
            host.add("w", first, "value.example.net")
        with pytest.raises(HostRefusal, match="beside"):
            strict.add("w", second, "value.example.net")
        lax.add("w", second, "value.example.net")
        assert lax.zone.types_at("w.example.com") == ["CNAME", "TXT"]


def test_a_second_record_may_replace_the_first() -> None:
    nice, overwriting = a_host(), a_host("overwrites")
    for host in (nice, overwriting):
        host.add("", "TXT", "one")
        host.add("", "TXT", "two")
    assert overwriting.zone.values(APEX, "TXT") == ["two"]
    assert nice.zone.values(APEX, "TXT") == ["one", "two"]


def test_lines_are_edited_and_deleted_as_they_were_typed() -> None:
    host = a_host("proxies")
    host.add("w", "CNAME", "target.example.net")
    host.add("", "TXT", "one")
    host.edit("", "TXT", "one", "two", new_name="@")
    host.delete("w", "CNAME")
    assert records(host) == {("example.com", "TXT", "two")}


def test_what_was_not_typed_here_is_deleted_too() -> None:
    host = a_host()
    host.zone.add("a.example.com", "TXT", "foreign")
    host.delete("a", "TXT", "foreign")
    assert records(host) == set()
    with pytest.raises(HostRefusal, match="There is no"):
        host.delete("a", "TXT", "foreign")


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [("a", "A", "no address"), ("x" * 64, "TXT", "v"), ("a..b", "TXT", "v"),
     ("a", "MX", "10 " + "y" * 64), ("a", "CNAME", "v=DKIM1; p=" + "A" * 60)],
)  # fmt: skip
def test_what_cannot_be_published_is_refused(name: str, kind: str, value: str) -> None:
    with pytest.raises(HostRefusal):
        a_host().add(name, kind, value)


@pytest.mark.parametrize("typed", ["https://www.example.com/", "my name", "“quoted”"])
def test_odd_names_become_labels(typed: str) -> None:
    host = a_host()
    host.add(typed, "TXT", "v")
    assert len(records(host)) == 1


@given(st.text(max_size=40), st.booleans())
def test_any_name_is_read_or_refused(typed: str, appends: bool) -> None:
    try:
        name = read_name(typed, APEX, Quirks(appends_zone=appends))
    except HostRefusal:
        return
    assert name


@given(st.text(max_size=600), st.sampled_from([LongText.SPLIT, LongText.SPLIT_INTO_RECORDS]))
def test_texts_without_quotes_are_kept(typed: str, long_text: LongText) -> None:
    if '"' not in typed:
        parts = read_text(typed, Quirks(long_text=long_text))
        assert b"".join(piece for part in parts for piece in part) == typed.encode()


def test_quoted_strings_stay_as_they_were_cut() -> None:
    host = a_host()
    host.add("", "TXT", r'"v=spf1 " "say \"hi\"\; "')
    (data,) = (data for _, kind, data in host.zone.records() if kind == "TXT")
    assert strings_of(data) == (b"v=spf1 ", b'say "hi"; ')


def test_every_quirk_is_told_from_none() -> None:
    assert [name for name, quirks in QUIRKS.items() if quirks == NICE] == ["nice"]
