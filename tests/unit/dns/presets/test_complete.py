# SPDX-License-Identifier: Apache-2.0
"""Completing a spec by its provider's preset: what the spec says itself wins, lists grow."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.resource import InvalidSpec
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.dns.presets.complete import complete
from unit.dns.presets.test_resolve_regions import KEY, TOKENS

DOMAIN = "send.example.com"
SES = {"region": "eu-west-1", **TOKENS}


def spec(provider: str | None, parameters: dict[str, str], **more: Any) -> SendingDomainSpec:
    given = {"domain": DOMAIN, "provider": provider, "parameters": parameters, **more}
    return SendingDomainSpec.model_validate({k: v for k, v in given.items() if v is not None})


def completed(provider: str, parameters: dict[str, str], **more: Any) -> SendingDomainSpec:
    return complete(spec(provider, parameters, **more))


def refused(provider: str, parameters: dict[str, str], **more: Any) -> list[tuple[Any, str]]:
    with pytest.raises(InvalidSpec) as caught:
        completed(provider, parameters, **more)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_without_a_provider_a_spec_stays_as_it_is() -> None:
    alone = SendingDomainSpec.model_validate({"domain": DOMAIN, "mx": [{"host": "mx.example.net"}]})
    assert complete(alone) is alone


def test_what_a_provider_asks_for_is_declared() -> None:
    made = completed("AmazonSES", {**SES, "mailFrom": "bounce"})
    assert [key.selector for key in made.dkim] == [TOKENS[f"dkimToken{n}"] for n in (1, 2, 3)]
    assert all(str(key.cname).endswith(".dkim.amazonses.com") for key in made.dkim)
    back = made.return_path
    assert back is not None
    assert (back.name, back.cname) == ("bounce", None)
    assert [exchange.host for exchange in back.mx] == ["feedback-smtp.eu-west-1.amazonses.com"]
    assert back.spf is not None
    assert back.spf.includes == ["amazonses.com"]


def test_exchanges_of_the_spec_take_the_place_of_the_provider_s() -> None:
    parameters = {"dkimHost": "contoso.n-v1.dkim.mail.microsoft"}
    made = completed("Microsoft365", parameters)
    assert [one.host for one in made.mx] == ["send-example-com.mail.protection.outlook.com"]
    own = completed("Microsoft365", parameters, mx=[{"host": "mx.example.net"}])
    assert [one.host for one in own.mx] == ["mx.example.net"]


def test_includes_are_joined_each_once_those_of_the_spec_first() -> None:
    own = ["other.example.net", "spf.protection.outlook.com"]
    made = completed(
        "Microsoft365",
        {"dkimHost": "contoso.n-v1.dkim.mail.microsoft"},
        spf={"includes": own, "ip4": ["192.0.2.1"], "all": "Fail"},
    )
    assert made.spf is not None
    assert (made.spf.includes, made.spf.ip4, made.spf.all.value) == (own, ["192.0.2.1"], "Fail")


def test_a_selector_of_the_spec_replaces_that_of_the_provider() -> None:
    first = TOKENS["dkimToken1"]
    made = completed("AmazonSES", SES, dkim=[{"selector": first, "cname": "own.example.net"}])
    assert [(key.selector, key.cname == "own.example.net") for key in made.dkim] == [
        (first, True),
        (TOKENS["dkimToken2"], False),
        (TOKENS["dkimToken3"], False),
    ]


def test_a_return_path_of_the_spec_is_kept() -> None:
    own = {"name": "bounce", "cname": "bounce.example.net"}
    made = completed("AmazonSES", {**SES, "mailFrom": "bounce"}, returnPath=own)
    assert made.return_path is not None
    assert (made.return_path.cname, made.return_path.mx) == ("bounce.example.net", [])


def test_dmarc_is_declared_where_a_provider_insists_and_the_spec_s_is_kept() -> None:
    made = completed("MailchimpTransactional", {})
    assert made.dmarc is not None
    assert made.dmarc.policy.value == "none"
    own = completed("MailchimpTransactional", {}, dmarc={"policy": "reject"})
    assert own.dmarc is not None
    assert own.dmarc.policy.value == "reject"
    assert completed("Postmark", {"dkimSelector": "a", "dkimPublicKey": KEY}).dmarc is None


def test_the_ownership_value_of_the_spec_is_kept() -> None:
    made = completed("ICloud", {"ownershipToken": "Ex4mpleT0ken"})
    assert (made.ownership.name, made.ownership.value) == (DOMAIN, "apple-domain=Ex4mpleT0ken")
    own = completed("ICloud", {"ownershipToken": "Ex4mpleT0ken"}, ownership={"value": "x=y"})
    assert own.ownership.value == "x=y"


def test_problems_name_the_parameter_or_the_provider() -> None:
    found = refused("AmazonSES", {"region": "eu-west-1", "nonsense": "x"})
    assert ("spec", "parameters", "nonsense") in [path for path, _ in found]


def test_what_is_required_must_be_declared_by_somebody() -> None:
    assert completed("AmazonSES", SES, require=["DKIM"]).require == ["DKIM"]
    assert refused("AmazonSES", SES, require=["DKIM", "Tracking"]) == [
        (("spec", "require"), "names Tracking, which neither the spec nor its provider declares")
    ]
