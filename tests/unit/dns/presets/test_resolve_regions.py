# SPDX-License-Identifier: Apache-2.0
"""Values that depend on a region, a cloud or a data centre, and how the names of hosts are read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.data_files import InvalidData, validate
from postroom.api.presets import ParameterProblem, placeholders
from postroom.dns.presets import PresetValues, identify, preset, providers, resolve
from postroom.dns.presets.model import Match, Preset
from unit.dns.presets.test_model import PARAMETER, text

DOMAIN = "send.example.com"
KEY = preset("Postmark").parameters[1].example
TOKENS = {f"dkimToken{n}": f"abcdefghijklmnopqrstuvwxyz01234{n}" for n in (1, 2, 3)}
#: Of the table of DKIM domains in the AWS General Reference.
OWN_ZONE = (
    "af-south-1",
    "ap-northeast-3",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "il-central-1",
    "me-central-1",
    "us-gov-east-1",
)
SHARED_ZONE = (
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "us-gov-west-1",
    "eu-west-1",
    "eu-central-1",
    "eu-north-1",
    "ap-south-1",
    "ap-northeast-1",
    "ap-southeast-1",
    "ca-central-1",
    "me-south-1",
    "sa-east-1",
)


def values(provider: str, parameters: dict[str, str]) -> PresetValues:
    found = resolve(provider, parameters, DOMAIN)
    assert isinstance(found, PresetValues), found
    return found


def keys_of_ses(**parameters: str) -> list[str | None]:
    return [one.cname for one in values("AmazonSES", {**TOKENS, **parameters}).dkim]


@pytest.mark.parametrize("region", OWN_ZONE)
def test_ses_signs_below_the_zone_of_the_region(region: str) -> None:
    wanted = [f"{token}.dkim.{region}.amazonses.com" for token in TOKENS.values()]
    assert keys_of_ses(region=region) == wanted


@pytest.mark.parametrize("region", SHARED_ZONE)
def test_ses_signs_below_the_shared_zone_elsewhere(region: str) -> None:
    assert keys_of_ses(region=region) == [f"{one}.dkim.amazonses.com" for one in TOKENS.values()]


@pytest.mark.parametrize(
    ("given_", "zone"),
    [
        ("dkim.amazonses.com", "dkim.amazonses.com"),
        ("dkim.amazonses.com.", "dkim.amazonses.com"),
        ("DKIM.AmazonSES.com", "dkim.amazonses.com"),
        ("dkim.1a2b3c.eu-central-1.amazonses.com", "dkim.1a2b3c.eu-central-1.amazonses.com"),
        ("dkim.eu-south-1.amazonses.com.", "dkim.eu-south-1.amazonses.com"),
        ("dkim.a.b.c.amazonses.com", "dkim.a.b.c.amazonses.com"),
    ],
)
def test_the_zone_that_ses_says_counts_before_the_table(given_: str, zone: str) -> None:
    for region in ("eu-south-1", "eu-west-1"):
        found = keys_of_ses(region=region, dkimDomain=given_)
        assert found == [f"{token}.{zone}" for token in TOKENS.values()]


@pytest.mark.parametrize(
    "wrong", ["dkim.amazonses.com..", "amazonses.com", "dkim.example.com", "."]
)
def test_what_is_no_zone_of_ses(wrong: str) -> None:
    found = resolve("AmazonSES", {**TOKENS, "region": "eu-west-1", "dkimDomain": wrong}, DOMAIN)
    assert isinstance(found, tuple)
    assert [one.parameter for one in found] == ["dkimDomain"]


@pytest.mark.parametrize(
    ("centre", "exchanges", "include"),
    [
        ("US", "zoho.com", "zohomail.com"),
        ("EU", "zoho.eu", "zohomail.eu"),
        ("IN", "zoho.in", "zohomail.in"),
        ("AU", "zoho.com.au", "zohomail.com.au"),
        ("JP", "zoho.jp", "zohomail.jp"),
        ("CA", "zohocloud.ca", "zohocloud.ca"),
    ],
)
def test_zoho_by_data_centre(centre: str, exchanges: str, include: str) -> None:
    found = values("Zoho", {"dataCenter": centre, "dkimPublicKey": KEY})
    wanted = [(10, f"mx.{exchanges}"), (20, f"mx2.{exchanges}"), (50, f"mx3.{exchanges}")]
    assert [(one.preference, one.host) for one in found.mx] == wanted
    assert found.spf_includes == (include,)
    assert {identify(one.host) for one in found.mx} == {"Zoho"}


def test_where_nobody_knows_the_value_it_must_be_given() -> None:
    found = resolve("Zoho", {"dataCenter": "SA", "dkimPublicKey": KEY}, DOMAIN)
    assert isinstance(found, tuple)
    assert [one.parameter for one in found] == ["mxDomain", "spfDomain"]
    assert found[0].sentence.startswith("is required where dataCenter is SA: what follows mx")
    told = {"mxDomain": "zoho.sa.", "spfDomain": "zoho.sa"}
    made = values("Zoho", {"dataCenter": "SA", "dkimPublicKey": KEY, **told})
    assert [one.host for one in made.mx] == ["mx.zoho.sa", "mx2.zoho.sa", "mx3.zoho.sa"]
    sending = {"dataCenter": "SA", "dkimPublicKey": KEY, "receiving": "Disabled"}
    unasked = resolve("Zoho", sending, DOMAIN)
    assert isinstance(unasked, tuple)
    assert [one.parameter for one in unasked] == ["spfDomain"]


@pytest.mark.parametrize(
    ("cloud", "host", "key", "include"),
    [
        (
            "USGovernment",
            "contoso.mail.protection.office365.us",
            "contoso.onmicrosoft.us",
            "spf.protection.office365.us",
        ),
        (
            "China",
            "contoso-cn.mail.protection.partner.outlook.cn.",
            "contoso.partner.onmschina.cn",
            "spf.protection.partner.outlook.cn",
        ),
    ],
)
def test_microsoft_by_cloud(cloud: str, host: str, key: str, include: str) -> None:
    given_ = {"cloud": cloud, "dkimHost": key, "mxHost": host}
    found = values("Microsoft365", given_)
    assert found.spf_includes == (include,)
    assert [one.host for one in found.mx] == [host.rstrip(".")]
    assert found.dkim[0].cname == f"selector1-send-example-com._domainkey.{key}"
    assert {identify(one) for one in (host, key, include)} == {"Microsoft365"}
    without = resolve("Microsoft365", {"cloud": cloud, "dkimHost": key}, DOMAIN)
    assert isinstance(without, tuple)
    assert [one.parameter for one in without] == ["mxHost"]


def test_bounces_of_sparkpost_by_region_and_account() -> None:
    given_ = {"dkimSelector": "scph1126", "dkimPublicKey": KEY, "returnPath": "bounce"}
    for more, target in (
        ({}, "sparkpostmail.com"),
        ({"region": "EU"}, "eu.sparkpostmail.com"),
        ({"returnPathHost": "acme.mail.e.sparkpost.com."}, "acme.mail.e.sparkpost.com"),
    ):
        path = values("SparkPost", {**given_, **more}).return_path
        assert path is not None
        assert path.cname == target


_HOSTS = [(name, one) for name in providers() for one in preset(name).parameters if one.host]


@given(st.sampled_from(_HOSTS), st.booleans(), st.booleans())
def test_capitals_and_the_last_dot_of_a_host_make_no_difference(
    chosen: tuple[str, Any], dot: bool, capitals: bool
) -> None:
    _, parameter = chosen
    written = parameter.example.upper() if capitals else parameter.example
    read = parameter.tidied(f"{written}." if dot else written)
    assert read == parameter.example
    assert parameter.accepts(read)


@pytest.mark.parametrize("name", providers())
def test_what_is_the_end_of_a_name_is_read_as_one(name: str) -> None:
    by_name = Match.TARGET, Match.EXCHANGE, Match.SPF_AUTHORISES
    chosen = preset(name)
    for record in chosen.records:
        if record.match in by_name and record.value.endswith("}"):
            last = record.value.rpartition("{")[2].removesuffix("}")
            assert last in placeholders(record.value)
            parameter = chosen.parameter(last)
            assert parameter is not None, last
            assert parameter.host, last


def refused(**default: Any) -> str:
    by = {"source": "https://example.com/docs", "checked": "2026-11-28", **default}
    other = {**PARAMETER, "name": "region", "default": "eu", "example": "eu", "enum": ["eu", "us"]}
    one = {**PARAMETER, "default": "s", "defaultBy": by}
    with pytest.raises(InvalidData) as caught:
        validate("providers/Example.yaml", text(parameters=[one, other]), Preset)
    return str(caught.value)


@pytest.mark.parametrize(
    ("default", "what"),
    [
        ({"parameter": "region", "values": {}}, "values"),
        ({"parameter": "region", "values": {"mars": "m"}}, "region cannot have"),
        ({"parameter": "region", "values": {"us": "42"}}, "do not accept"),
        ({"parameter": "selector", "values": {"us": "u"}}, "need not be known"),
        ({"parameter": "nobody", "values": {"us": "u"}}, "need not be known"),
        ({"parameter": "region", "values": {"us": "u"}, "source": "a book"}, "source"),
    ],
)
def test_a_wrong_table_of_defaults(default: dict[str, Any], what: str) -> None:
    assert what in refused(**default)


@pytest.mark.parametrize(
    "domain", ["riegel-immobilien.example", "mail.a-b.example", "xn--bcher-kva.example"]
)
def test_microsoft_makes_a_name_of_its_own_of_a_domain_with_a_hyphen(domain: str) -> None:
    """Its hyphens go, and a suffix that tells where they stood comes: nobody can work it out."""
    given = {"dkimHost": "contoso.r-v1.dkim.mail.microsoft"}
    found = resolve("Microsoft365", given, domain)
    assert [one.parameter for one in found if isinstance(one, ParameterProblem)] == [
        "dkimName",
        "mxHost",
    ]
    assert all("hyphen" in one.sentence for one in found if isinstance(one, ParameterProblem))
    own = {
        **given,
        "dkimName": "riegelimmobilien-example01e",
        "mxHost": "riegelimmobilien-example01e.mail.protection.outlook.com",
    }
    made = resolve("Microsoft365", own, domain)
    assert isinstance(made, PresetValues)
    assert made.mx[0].host == own["mxHost"]
    assert made.dkim[0].cname == (
        "selector1-riegelimmobilien-example01e._domainkey.contoso.r-v1.dkim.mail.microsoft"
    )


def test_microsoft_asks_for_no_exchange_that_nobody_needs() -> None:
    """Who only sends through it has no MX there."""
    given = {"dkimHost": "contoso.r-v1.dkim.mail.microsoft", "dkimName": "ab-example0c"}
    found = resolve("Microsoft365", {**given, "receiving": "Disabled"}, "a-b.example")
    assert isinstance(found, PresetValues)
    assert found.mx == ()
    assert isinstance(
        resolve("Microsoft365", {"dkimHost": given["dkimHost"]}, "ab.example"), PresetValues
    )


def test_domains_without_a_default_need_one_for_the_others() -> None:
    none = {
        "pattern": ".*-.*",
        "words": "the domain has a hyphen",
        "source": "https://example.com/z",
    }
    none |= {"checked": "2026-11-28"}
    one = {**PARAMETER, "noDefaultFor": none}
    with pytest.raises(InvalidData, match="all other domains"):
        validate("providers/Example.yaml", text(parameters=[one]), Preset)
