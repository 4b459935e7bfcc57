# SPDX-License-Identifier: Apache-2.0
"""Filling in a preset: the records it comes to, what is wrong with parameters, hostile input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.presets import ParameterProblem
from postroom.dns.presets import (
    PresetExchange,
    PresetValues,
    identify,
    preset,
    providers,
    resolve,
    title_of,
)

DOMAIN = "send.example.com"
KEY = preset("Postmark").parameters[1].example
TOKENS = {f"dkimToken{n}": f"abcdefghijklmnopqrstuvwxyz01234{n}" for n in (1, 2, 3)}


def values(provider: str, parameters: dict[str, str], domain: str = DOMAIN) -> PresetValues:
    found = resolve(provider, parameters, domain)
    assert isinstance(found, PresetValues), found
    return found


def problems(provider: str, parameters: dict[str, str]) -> list[ParameterProblem]:
    found = resolve(provider, parameters, DOMAIN)
    assert isinstance(found, tuple), found
    return list(found)


def test_amazon_ses_with_its_own_return_path() -> None:
    found = values("AmazonSES", {"region": "eu-west-1", "mailFrom": "bounce", **TOKENS})
    assert [(key.selector, key.cname) for key in found.dkim] == [
        (token, f"{token}.dkim.amazonses.com") for token in TOKENS.values()
    ]
    path = found.return_path
    assert path is not None
    assert (path.name, path.cname, path.spf_includes) == ("bounce", None, ("amazonses.com",))
    assert path.mx == (PresetExchange("feedback-smtp.eu-west-1.amazonses.com", 10, True),)
    assert found.spf_includes == ()


def test_amazon_ses_without_the_optional_part() -> None:
    found = values("AmazonSES", {"region": "eu-west-1", **TOKENS})
    assert found.return_path is None
    assert found.mx == ()


def test_regions_choose_hosts() -> None:
    europe = {"region": "EU", "dkimHost": "9d876.dkim1.mailgun.com", "receiving": "Enabled"}
    found = values("Mailgun", europe)
    assert found.spf_includes == ("eu.mailgun.org",)
    assert [one.host for one in found.mx] == ["mxa.eu.mailgun.org", "mxb.eu.mailgun.org"]
    assert [one.cname for one in found.tracking] == ["eu.mailgun.org"]


def test_a_key_without_version_and_type() -> None:
    found = values("Resend", {"region": "us-east-1", "dkimPublicKey": KEY})
    [key] = found.dkim
    assert (key.selector, key.public_key, key.text) == ("resend", KEY, f"p={KEY}")


def test_a_key_is_read_without_what_follows_it() -> None:
    given_ = {"spfInclude": "spf.postal.example.net", "dkimSelector": "postal-abc"}
    [key] = values("Postal", {**given_, "dkimPublicKey": KEY}).dkim
    assert key.public_key == KEY


def test_dashes_of_the_domain() -> None:
    found = values("Microsoft365", {"dkimHost": "contoso.n-v1.dkim.mail.microsoft"})
    assert found.dkim[0].cname == (
        "selector1-send-example-com._domainkey.contoso.n-v1.dkim.mail.microsoft"
    )
    assert found.mx == (PresetExchange("send-example-com.mail.protection.outlook.com", 0, True),)


def test_a_default_gives_way() -> None:
    given_ = {"dkimHost": "contoso.onmicrosoft.com", "mxHost": "contoso-com.p-v1.mx.microsoft"}
    assert values("Microsoft365", given_).mx[0].host == "contoso-com.p-v1.mx.microsoft"


def test_one_parameter_takes_the_place_of_other_records() -> None:
    code = {"brevoCode": "0123456789abcdef"}
    assert [key.selector for key in values("Brevo", code).dkim] == ["brevo1", "brevo2"]
    assert [key.selector for key in values("Brevo", {**code, "dkimPublicKey": KEY}).dkim] == [
        "mail"
    ]


def test_a_provider_that_insists_on_dmarc() -> None:
    found = values("MailchimpTransactional", {})
    assert found.dmarc_required
    assert found.dmarc_policy == "none"
    assert not values("Postmark", {"dkimSelector": "a", "dkimPublicKey": KEY}).dmarc_required


def test_ownership() -> None:
    found = values("ICloud", {"ownershipToken": "Ex4mpleT0ken"})
    assert found.ownership is not None
    assert (found.ownership.name, found.ownership.value) == ("@", "apple-domain=Ex4mpleT0ken")


def test_a_missing_parameter() -> None:
    [problem] = problems("ICloud", {})
    assert problem == ParameterProblem(
        "ownershipToken", "is required: the value after apple-domain="
    )


def test_a_part_of_what_belongs_together() -> None:
    first = {"region": "eu-west-1", "dkimToken1": TOKENS["dkimToken1"]}
    found = problems("AmazonSES", first)
    assert [one.parameter for one in found] == ["dkimToken2", "dkimToken3"]
    assert all(one.sentence.startswith("is required together with dkimToken1") for one in found)


def test_none_of_a_group_and_too_many() -> None:
    region = {"region": "eu-west-1"}
    assert problems("AmazonSES", region) == [
        ParameterProblem("dkimToken1", "one of these must be given: dkimToken1, dkimPublicKey")
    ]
    both = {**region, **TOKENS, "dkimPublicKey": KEY, "dkimSelector": "own"}
    assert problems("AmazonSES", both) == [
        ParameterProblem("dkimToken1", "only one of these may be given: dkimToken1, dkimPublicKey")
    ]


def test_an_unknown_parameter_names_the_known_ones() -> None:
    assert problems("Mailchimp", {"region": "EU"}) == [
        ParameterProblem("region", "is no parameter of Mailchimp: it has none")
    ]
    [problem] = problems("ICloud", {"ownershipToken": "Ex4mpleT0ken", "zone": "x"})
    assert problem.sentence == "is no parameter of ICloud: it has ownershipToken, receiving"


@pytest.mark.parametrize(
    ("provider", "parameters", "sentence"),
    [
        ("SparkPost", {"region": "eu"}, "must be one of US, EU: region of the account"),
        ("Proton", {"dkimHost": "not.a.label"}, "must look like "),
        ("Postmark", {"dkimPublicKey": f"v=DKIM1; p={KEY}"}, "must be the key alone in base64"),
        ("AmazonSES", {"region": "eu-west-1\n"}, "must look like eu-west-1: AWS region"),
    ],
)
def test_a_value_that_cannot_be(provider: str, parameters: dict[str, str], sentence: str) -> None:
    [name] = parameters
    found = [problem for problem in problems(provider, parameters) if problem.parameter == name]
    assert len(found) == 1
    assert found[0].sentence.startswith(sentence)


def test_the_same_selector_twice() -> None:
    twice = dict.fromkeys(TOKENS, "abcdefghijklmnopqrstuvwxyz012345")
    found = problems("AmazonSES", {"region": "eu-west-1", **twice})
    assert [one.parameter for one in found] == ["dkimToken2", "dkimToken3"]


def test_a_domain_too_long_for_what_is_made_of_it() -> None:
    long = ".".join(["a" * 40, "b" * 40, "example.com"])
    found = resolve("Brevo", {"brevoCode": "0123456789abcdef"}, long)
    assert isinstance(found, tuple)
    assert "too long" in found[0].sentence


def test_an_unknown_provider() -> None:
    assert resolve("No" * 50, {}, DOMAIN) == (
        ParameterProblem(None, f"has no preset {('No' * 20)!r}"),
    )


@given(
    st.sampled_from(providers()),
    st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=6),
)
def test_no_parameters_break_it(provider: str, parameters: dict[str, str]) -> None:
    found = resolve(provider, parameters, DOMAIN)
    for one in found if isinstance(found, tuple) else ():
        assert len(one.sentence) < 700
        assert len(one.parameter or "") <= 40


@given(st.sampled_from(providers()), st.data())
def test_no_value_breaks_it(provider: str, data: st.DataObject) -> None:
    parameters = {
        parameter.name: data.draw(
            st.sampled_from([parameter.example, *parameter.enum]) | st.text(max_size=80)
        )
        for parameter in preset(provider).parameters
        if data.draw(st.booleans())
    }
    found = resolve(provider, parameters, DOMAIN)
    assert isinstance(found, PresetValues) or found
    assert found == resolve(provider, dict(reversed(parameters.items())), DOMAIN)


@pytest.mark.parametrize(
    ("target", "provider"),
    [
        ("u1.wl2.sendgrid.net", "SendGrid"),
        ("PM.MTASV.NET.", "Postmark"),
        ("example-com.mail.protection.outlook.com", "Microsoft365"),
        ("alt1.aspmx.l.google.com", "GoogleWorkspace"),
        ("aspmx2.googlemail.com", "GoogleWorkspace"),
        ("route1.mx.cloudflare.net", "CloudflareEmailRouting"),
        ("amazonses.com", "AmazonSES"),
        ("notamazonses.com", None),
        ("example.com", None),
        ("", None),
        ("." * 300, None),
    ],
)
def test_whose_a_name_is(target: str, provider: str | None) -> None:
    assert identify(target) == provider


def test_what_people_call_it() -> None:
    assert title_of("x.mandrillapp.com") == "Mailchimp Transactional (Mandrill)"
    assert title_of("example.com") is None


@given(st.text(max_size=600))
def test_no_name_breaks_it(name: str) -> None:
    found = identify(name)
    assert (found is None) == (title_of(name) is None)
