# SPDX-License-Identifier: Apache-2.0
"""The data of the presets: every provider loads, works with its examples, and says its sources."""

from __future__ import annotations

import pytest

from postroom.api.sendingdomain import DKIMKey, Provider, SendingDomainSpec
from postroom.dns import dkim
from postroom.dns.names import can_be_asked
from postroom.dns.presets import PresetValues, identify, preset, providers, resolve
from postroom.dns.presets.load import targets
from postroom.dns.presets.model import Preset, Role
from postroom.dns.presets.resolve import filled

DOMAIN = "send.example.com"


def least(one: Preset) -> dict[str, str]:
    """The parameters that must be given, each with its example, and the first of each group."""
    given = {part.name: part.example for part in one.parameters if part.required}
    for group in one.one_of:
        given |= _with_partners(one, group[0])
    return given


def everything(one: Preset) -> dict[str, str]:
    """All parameters with their examples, but only the first of each group and its partners."""
    others = {name for group in one.one_of for name in group[1:]}
    for group in one.one_of:
        for name in group[1:]:
            others |= set(_with_partners(one, name))
    return {part.name: part.example for part in one.parameters if part.name not in others}


def _with_partners(one: Preset, name: str) -> dict[str, str]:
    needed = {name}
    for record in one.records:
        if name in record.depends_on:
            needed |= set(record.depends_on)
    return {part.name: part.example for part in one.parameters if part.name in needed}


def test_the_api_knows_the_same_providers() -> None:
    assert {one.value for one in Provider} == set(providers())


@pytest.mark.parametrize("name", providers())
def test_examples_resolve(name: str) -> None:
    for parameters in (least(preset(name)), everything(preset(name))):
        found = resolve(name, parameters, DOMAIN)
        assert isinstance(found, PresetValues), found
        assert found.dkim


@pytest.mark.parametrize("name", providers())
def test_each_alternative_resolves(name: str) -> None:
    one = preset(name)
    for group in one.one_of:
        for choice in group:
            parameters = {part.name: part.example for part in one.parameters if part.required}
            found = resolve(name, parameters | _with_partners(one, choice), DOMAIN)
            assert isinstance(found, PresetValues), found
            assert found.dkim


@pytest.mark.parametrize("name", providers())
def test_each_record_is_asked_for_by_some_parameters(name: str) -> None:
    one = preset(name)
    unused = set(range(len(one.records)))
    for parameters in _all_choices(one):
        asked = {id(made.record) for made in filled(one, parameters, DOMAIN)}
        unused -= {index for index in unused if id(one.records[index]) in asked}
    assert not unused


def _all_choices(one: Preset) -> list[dict[str, str]]:
    """The examples, every value of every enum, and every parameter alone."""
    made: list[dict[str, str]] = []
    examples = {part.name: part.example for part in one.parameters}
    for left_out in ["", *(part.name for part in one.parameters if part.optional)]:
        base = {name: value for name, value in examples.items() if name != left_out}
        made.append(base)
        for part in one.parameters:
            made += [base | {part.name: value} for value in part.enum]
            for other in one.parameters:
                made += [
                    base | {part.name: value, other.name: more}
                    for value in part.enum
                    for more in other.enum
                ]
    return made


@pytest.mark.parametrize("name", providers())
def test_names_and_keys_are_fit_for_dns_and_for_the_spec(name: str) -> None:
    found = resolve(name, everything(preset(name)), DOMAIN)
    assert isinstance(found, PresetValues)
    for key in found.dkim:
        assert can_be_asked(key.cname or DOMAIN)
        DKIMKey.model_validate(
            {"selector": key.selector}
            | ({"cname": key.cname} if key.cname else {"publicKey": key.public_key})
        )
        if key.public_key is not None:
            read = dkim.read_expected(key.public_key)
            assert not isinstance(read, str), read
            assert key.text is not None
            assert f"p={key.public_key}" in key.text
    assert len({key.selector for key in found.dkim}) == len(found.dkim)


@pytest.mark.parametrize("name", providers())
def test_a_spec_needs_no_more_than_the_provider(name: str) -> None:
    parameters = least(preset(name))
    SendingDomainSpec.model_validate({"domain": DOMAIN, "provider": name, "parameters": parameters})


@pytest.mark.parametrize("name", providers())
def test_a_return_path_is_an_alias_or_has_exchanges(name: str) -> None:
    found = resolve(name, everything(preset(name)), DOMAIN)
    assert isinstance(found, PresetValues)
    path = found.return_path
    assert path is None or (path.cname is None) == bool(path.mx)


# Every installation of Postal has names of its own.
@pytest.mark.parametrize("name", sorted({*providers()} - {"Postal"}))
def test_what_a_preset_points_to_is_known_as_some_provider(name: str) -> None:
    found = resolve(name, everything(preset(name)), DOMAIN)
    assert isinstance(found, PresetValues)
    path = found.return_path
    pointed = [key.cname for key in found.dkim if key.cname]
    pointed += [*found.spf_includes, *(path.spf_includes if path else ())]
    pointed += [one.host for one in (*found.mx, *(path.mx if path else ()))]
    unknown = [one for one in pointed if identify(one) is None]
    assert [one for one in unknown if not one.endswith(".amazonaws.com")] == []


def test_titles_of_targets_are_those_of_the_presets() -> None:
    for row in targets().targets:
        if row.provider in providers():
            assert row.title == preset(row.provider).title


def test_there_are_providers_without_a_preset_too() -> None:
    assert len({row.provider for row in targets().targets} - set(providers())) >= 15


@pytest.mark.parametrize("name", providers())
def test_at_most_one_ownership_record_is_asked_for(name: str) -> None:
    made = filled(preset(name), everything(preset(name)), DOMAIN)
    assert len([one for one in made if one.record.role is Role.OWNERSHIP]) <= 1
