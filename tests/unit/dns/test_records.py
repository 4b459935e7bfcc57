# SPDX-License-Identifier: Apache-2.0
"""DKIM and DMARC records, names, and the catalogue of findings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dkim, dmarc
from postroom.dns.findings import catalogue
from postroom.dns.names import host_label
from postroom.dns.texts.quoting import quoted

ED25519 = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"v=DKIM1; k=ed25519; p={ED25519}", None),
        (f"k=ed25519; p={ED25519}", None),
        (f"k=ed25519;p= {ED25519[:20]} \t{ED25519[20:]} ;", None),
        (f"v=dkim1; k=ed25519; p={ED25519}", "v="),
        (f"k=ed25519; v=DKIM1; p={ED25519}", "v="),
        ("v=DKIM1; k=rsa", "no p="),
        (f"p={ED25519}; p={ED25519}", "twice"),
        (f"k=ed25519; h=sha1; p={ED25519}", "sha256"),
        (f"k=ed25519; s=tlsrpt; p={ED25519}", "email"),
        ("p=not*base64", "base64"),
        (f"k=rsa; p={ED25519}", "RSA"),
        (f"k=rot13; p={ED25519}", "k="),
        ("v=DKIM1 k=rsa p=AAAA", "v="),
    ],
)
def test_key_records(text: str, problem: str | None) -> None:
    found = dkim.parse(text)
    assert (found.key is not None) is (problem is None)
    assert (problem or "") in (found.problem or "")


def test_an_empty_p_is_revoked() -> None:
    assert dkim.parse("v=DKIM1; p=").revoked


@given(st.text())
def test_no_text_breaks_the_key_parser(text: str) -> None:
    dkim.parse(text)
    dkim.looks_like_key(text)
    dkim.read_expected(text)


@pytest.mark.parametrize(
    ("text", "policy", "rua"),
    [
        ("v=DMARC1; p=reject; rua=mailto:A@x.org!10m,https://x", "reject", ("mailto:a@x.org",)),
        ("v = DMARC1 ;p=quarantine", "quarantine", ()),
        ("v=DMARC1; p=reject; t=y", "quarantine", ()),
        ("v=DMARC1; rua=mailto:a@x.org", "none", ("mailto:a@x.org",)),
    ],
)
def test_policy_records(text: str, policy: str, rua: tuple[str, ...]) -> None:
    assert dmarc.is_dmarc(text)
    found = dmarc.parse(text)
    assert (found.policy.value, found.rua, found.problem) == (policy, rua, None)


@pytest.mark.parametrize("text", ["v=DMARC", "v=dmarc1; p=none", "p=none; v=DMARC1", "v=DMARC11"])
def test_what_is_no_policy_record(text: str) -> None:
    assert not dmarc.is_dmarc(text)


POLICIES = st.sampled_from(
    ["", "p=none", "p=reject", "p=x", "t=y", "sp=none", "fo=1", "rua=mailto:o@x.org"]
)


@given(st.lists(POLICIES, max_size=5), st.sampled_from(list(DMARCPolicy)))
def test_a_changed_policy_record_satisfies(parts: list[str], wanted: DMARCPolicy) -> None:
    existing = "; ".join(["v=DMARC1", *parts])
    merged = dmarc.with_requirements(existing, wanted, ["mailto:d@x.org"])
    found = dmarc.parse(merged)
    assert found.at_least(wanted)
    assert "mailto:d@x.org" in found.rua
    assert dmarc.parse(existing).strictness <= found.strictness
    assert dmarc.with_requirements(merged, wanted, ["mailto:d@x.org"]) == merged


@given(st.text())
def test_no_text_breaks_the_policy_parser(text: str) -> None:
    dmarc.parse(f"v=DMARC1; {text}")
    dmarc.looks_like_dmarc(text)


@pytest.mark.parametrize(
    ("name", "zone", "label"),
    [
        ("example.com", "example.com", "@"),
        ("k1._domainkey.send.example.com", "example.com", "k1._domainkey.send"),
        ("notexample.com", "example.com", "notexample.com"),
        ("x.example.com", None, "x.example.com"),
    ],
)
def test_host_labels(name: str, zone: str | None, label: str) -> None:
    assert host_label(name, zone) == label


@given(st.text())
def test_quoted_texts_are_printable_and_bounded(text: str) -> None:
    shown = quoted(text)
    assert len(shown) <= 300
    assert all(" " <= char <= "~" or char == "…" for char in shown)


def test_the_catalogue_is_whole_sentences() -> None:
    for entry in catalogue().values():
        assert entry.meaning.endswith(".")
        assert entry.remedy.endswith(".")
