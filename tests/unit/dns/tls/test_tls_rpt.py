# SPDX-License-Identifier: Apache-2.0
"""TLS-RPT records (RFC 8460 section 3): known, faulty, and changed without losing an address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.dmarc.uri import parse
from postroom.dns.tls.tls_rpt import (
    destinations,
    is_record,
    looks_like_record,
    missing_from,
    record_for,
    record_problem,
)


@pytest.mark.parametrize(
    ("text", "sound", "meant"),
    [
        ("v=TLSRPTv1;rua=mailto:a@x.net", True, True),
        ("v=TLSRPTv1 \t; rua=mailto:a@x.net", True, True),
        ("v=TLSRPTv1", False, True),
        ("v=tlsrptv1; rua=mailto:a@x.net", False, True),
        (" v=TLSRPTv1; rua=mailto:a@x.net", False, True),
        ("v=TLSRPTv11; rua=mailto:a@x.net", False, True),
        ("v: TLS-RPTv1", False, True),
        ('"TLSRPTv1; rua=mailto:a@x.net', False, True),
        ("rua=mailto:a@x.net", False, False),
        ("v=STSv1; id=1", False, False),
    ],
)
def test_what_is_a_record_and_what_was_meant_as_one(text: str, sound: bool, meant: bool) -> None:
    assert (is_record(text), looks_like_record(text)) == (sound, meant)


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("rua=mailto:a@x.net", None),
        ("rua=mailto:a@x.net,https://x.net/r", None),
        ("rua=mailto:a@x.net , https://x.net/r; x=y;", None),
        ("rua=tel:1,mailto:a@x.net", None),
        ("", "it has no report address (rua=)"),
        ("x=y", "it has no report address (rua=)"),
        ("rua=", "it has no report address (rua=)"),
        ("rua=mailto:a@x.net,", "a comma in rua="),
        ("rua=,mailto:a@x.net", "a comma in rua="),
        ("rua=a@x.net", "must begin with mailto: or https:"),
        ("rua=mailto:a@x.net mailto:b@x.net", "must begin with mailto: or https:"),
        ("rua=mailto:a@x.net!10m", "must begin with mailto: or https:"),
        ("rua=mailto:\u00e9@x.net", "must begin with mailto: or https:"),
        ("rua=mailto:\U0001f4e7@x.net", "must begin with mailto: or https:"),
        ("rua=tel:1", "no report address (rua=) is a mailto: or https: one"),
        ("rua=mailto:a@x.net.", "no report address (rua=) is a mailto: or https: one"),
        ("rua=mailto://a@x.net", "no report address (rua=) is a mailto: or https: one"),
        ("rua=mailto:a@", "no report address (rua=) is a mailto: or https: one"),
        ("rua=mailto:a@x..net", "no report address (rua=) is a mailto: or https: one"),
        ("rua=mailto://a@x.net,mailto:b@x.net", None),
        ("rua=http://x.net/r", "no report address (rua=) is a mailto: or https: one"),
        ("rua =mailto:a@x.net", "a blank stands beside the ="),
        (f"rua={','.join(['mailto:a@x.net'] * 50)}", None),
        (f"rua={','.join(['mailto:a@x.net'] * 51)}", "more than 50 report addresses"),
    ],
)
def test_what_is_wrong_with_a_record(rest: str, problem: str | None) -> None:
    said = record_problem(f"v=TLSRPTv1;{rest}")
    assert (problem in said) if problem and said else said is problem


def test_destinations_are_what_senders_can_use() -> None:
    text = "v=TLSRPTv1; rua=mailto:A@x.net,tel:1, HTTPS://x.net/R;rua=mailto:b@x.net; x=https://y"
    assert destinations(text) == ("mailto:A@x.net", "HTTPS://x.net/R", "mailto:b@x.net")


@pytest.mark.parametrize(
    ("there", "wanted", "missing"),
    [
        ("mailto:A@X.net", "mailto:a@x.NET", False),
        ("HTTPS://X.net/Path", "https://x.net/Path", False),
        ("https://x.net/path", "https://x.net/Path", True),
        ("https://x.net", "https://x.net/", True),
        ("mailto:a@x.net", "mailto:b@x.net", True),
    ],
)
def test_where_case_matters(there: str, wanted: str, missing: bool) -> None:
    assert bool(missing_from([there], [wanted])) is missing


URIS = st.lists(
    st.sampled_from(
        ["mailto:a@x.net", "mailto:A@x.net", "mailto:b@x.net", "https://x.net/R", "https://x.net/r"]
    ),
    min_size=1,
    max_size=5,
)


@given(URIS, URIS)
def test_a_changed_record_reports_to_all_and_to_each_once(
    there: list[str], wanted: list[str]
) -> None:
    made = record_for(there, wanted)
    assert (is_record(made), record_problem(made)) == (True, None)
    reported = destinations(made)
    assert missing_from(reported, [*there, *wanted]) == ()
    assert all(uri in (*there, *wanted) for uri in reported)
    assert not any(
        missing_from([other], [uri]) == ()
        for index, uri in enumerate(reported)
        for other in reported[:index]
    )


@pytest.mark.parametrize(
    "item", ["mailto:a@x.net.", "mailto://a@x.net", "mailto:/a@x.net", "a@x.net"]
)
def test_what_no_sender_can_use_is_mended_as_it_was_meant(item: str) -> None:
    text = f"v=TLSRPTv1; rua={item}"
    assert destinations(text) == (
        ("mailto:/a@x.net",) if "/a" in item and "//" not in item else ("mailto:a@x.net",)
    )


@pytest.mark.parametrize(
    "address",
    [
        "a@x.net",
        "a@x.net.",
        "//a@x.net",
        "a@",
        "@x.net",
        "a@b@x.net",
        "a%40x.net",
        "a@x_y.net",
        "a@-",
        "a@x..net",
    ],
)
def test_an_address_is_usable_where_it_is_in_a_dmarc_record(address: str) -> None:
    used = destinations(f"v=TLSRPTv1; rua=mailto:{address},mailto:b@x.net")
    assert (f"mailto:{address}" in used) is (parse(f"mailto:{address}").address is not None)
