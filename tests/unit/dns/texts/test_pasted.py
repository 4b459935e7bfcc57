# SPDX-License-Identifier: Apache-2.0
"""Placeholders of instructions: what is one, and what only looks like one.

Covers: gaps in brackets, words that are a whole value or label, and names and macros that hold
the same letters. And what pages and files have around a value: what it is called, and that sound
values have none of it.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.texts.pasted import detail_of, placeholder, without_caption, without_decoration
from unit.dns.domains import RSA


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<your token>", "<your token>"),
        ("abc<token>", "<token>"),
        ("{{token}}", "{{token}"),
        ("include:spf.{{domain}}", "{{domain}"),
        ("{token}", "{token}"),
        ("[your domain]", "[your domain]"),
        ("YOUR_TOKEN", "YOUR_TOKEN"),
        ("your-verification-code", "your-verification-code"),
        ("p=your public key", "your public key"),
        ("p=YOURKEY", "YOURKEY"),
        ("k=rsa; p=REPLACE_ME", "REPLACE_ME"),
        ("CHANGEME", "CHANGEME"),
        ("replace with your key", "replace with your key"),
        ("INSERT_KEY_HERE", "INSERT_KEY_HERE"),
        ("xxxxxxxx", "xxxxxxxx"),
        ("include:YOUR_DOMAIN.net", "YOUR_DOMAIN"),
        ("p=MIIBIjANBg...", "MIIBIjANBg..."),
        ("p=\xe2\x80\xa6", "\u2026"),
    ],
)
def test_a_gap_of_the_instructions(text: str, found: str) -> None:
    assert placeholder(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "include:spf.your-server.de",
        "include:yourhosting.nl",
        "include:your.org",
        "mailto:dmarc@yourcompany.net",
        "mailto:dmarc@your-company.co.uk",
        "include:replaceme.com",
        "include:xxxxx.nl",
        "a:mail.myhost.example",
        "include:%{ir}.%{v}.%{d}.spf.has.pphosted.com",
        "exists:%{i}._spf.mta.salesforce.com",
        "google-site-verification=YourA-b_cXXXXXdef",
        "p=MIIBXXXXXXyourKEY+replaceme/abc",
        "ip6:[2001:db8::1]",
        "insertion",
        "",
    ],
)
def test_what_is_none(text: str) -> None:
    assert placeholder(text) is None


LABEL = st.from_regex(
    r"(your|my|replace|insert|x{5}|change)[a-z0-9-]{0,12}[a-z0-9]", fullmatch=True
)


@given(st.lists(LABEL, min_size=1, max_size=3), st.sampled_from(["com", "net", "co.uk", "de"]))
def test_never_inside_a_domain_name(labels: list[str], suffix: str) -> None:
    assert placeholder(".".join([*labels, suffix])) is None


VALUES = (
    "provider-verify=4f9a0c17b2d84e6693",
    "v=spf1 include:spf.provider.net ip6:2001:db8::/32 exists:%{i}._spf.example.net ~all",
    "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.com,https://reports.example.com/r",
    f"v=DKIM1; k=rsa; p={RSA}",
    "v=TLSRPTv1; rua=mailto:tls@example.com",
    "v=STSv1; id=20240101T000000",
    "v=BIMI1; l=https://example.com/logo.svg; a=",
)


@pytest.mark.parametrize("value", VALUES)
def test_a_sound_value_has_nothing_around_it(value: str) -> None:
    assert without_decoration(value) == value
    assert without_caption(value) == value


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("<code>", "</code>", "has HTML tags around it or inside it, such as <code>"),
        ("", "<br />", "has HTML tags around it or inside it, such as <br />"),
        ("<li><strong>", "</strong></li>", "has HTML tags around it or inside it, such as <li>"),
        ("<td>Value: ", "</td>", "has HTML tags around it or inside it, such as <td>"),
        ("```", "```", "has marks of Markdown around it"),
        ("**", "**", "has marks of Markdown around it"),
        ('( "', '" )', "has the parentheses of a zone file around it"),
        ('( "', '" ) ; ----- the record', "has the parentheses of a zone file around it"),
        ('@ 300 IN TXT ("', '")', "has the parentheses of a zone file around it"),
        ("<", ">", "has brackets around it"),
        ("http://", "", "begins as a URL does"),
        ("https://", "/", "begins as a URL does"),
        ('="', '"', "has an equals sign before it"),
    ],
)
def test_what_a_page_has_around_a_value_is_named(before: str, after: str, said: str) -> None:
    for value in VALUES:
        text = f"{before}{value}{after}"
        assert without_decoration(text) == value
        assert detail_of("VALUE_DECORATED", text) == said, value


@pytest.mark.parametrize("value", VALUES[1:])
@pytest.mark.parametrize(
    "caption",
    [
        "DKIM: ",
        "TXT ",
        "TXT Value: ",
        "Record (TXT): ",
        "Points to: ",
        "My SPF record = ",
        "Wert: ",
    ],
)
def test_a_caption_before_a_version(value: str, caption: str) -> None:
    assert without_caption(f"{caption}{value}") == value


@given(st.text(max_size=200))
def test_undoing_never_raises_and_ends(text: str) -> None:
    once = without_decoration(text)
    assert len(once) <= len(text)
