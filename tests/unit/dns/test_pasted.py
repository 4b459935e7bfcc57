# SPDX-License-Identifier: Apache-2.0
"""Placeholders of instructions: what is one, and what only looks like one.

Covers: gaps in brackets, words that are a whole value or label, and names and macros that hold
the same letters.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.pasted import placeholder


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
