# SPDX-License-Identifier: Apache-2.0
"""Forms of settings: whatever matches one is read by the operator, so that a schema with the same
pattern refuses no less and no more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom import setting_values as values
from postroom.settings import Settings, SettingsError, load

READ: dict[values.Form, Callable[[object], object]] = {
    values.NAMESPACE: values.parse_namespace,
    values.TOKEN_HOST: values.parse_token_host,
    values.TEST_RECIPIENT: values.parse_test_recipient,
}


def texts_of(form: values.Form) -> st.SearchStrategy[str]:
    matching = st.from_regex(form.pattern, fullmatch=True)
    return matching.filter(lambda text: len(text) <= form.longest)


@pytest.mark.parametrize("form", READ, ids=lambda form: form.name)
@settings(max_examples=25)
@given(data=st.data())
def test_whatever_matches_is_read(form: values.Form, data: st.DataObject) -> None:
    READ[form](data.draw(texts_of(form)))


def read(parse: Callable[[object], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def test_an_address_of_version_6_may_be_written_in_each_way_and_in_no_other() -> None:
    groups, ends = ["1", "2aB", "0", "fFfF", "9", "8", "7", "6", "5"], [[], ["10.0.0.255"]]
    texts = [
        f"{':'.join(groups[:before])}{mark}{':'.join([*groups[:behind], *end])}"
        for before in range(10)
        for behind in range(9)
        for mark in ("::", ":", ":::")
        for end in ends
    ]
    good = 0
    for text in [*texts, "12345::", "g::", "1.2.3.4::", "::1.2.3.256", "::01.2.3.4", ""]:
        try:
            ip_address(text)
        except ValueError:
            is_one = False
        else:
            is_one = True
            good += 1
        assert read(values.parse_address, f"[{text}]:53") == is_one, text
        assert read(values.parse_network, f"{text}/128") == is_one, text
        assert read(values.parse_resolver, f"https://[{text}]/q") == is_one, text
    assert good > 60


def test_a_port_is_one_from_1_to_65535() -> None:
    for port in (*range(0, 70_000, 7), 1, 9, 10, 99, 999, 9999, 10_000, 65_534, 65_535, 65_536):
        assert read(values.parse_port, str(port)) == (1 <= port <= 65_535)
        assert read(values.parse_address, f"10.0.0.1:{port}") == (1 <= port <= 65_535)


@given(st.ip_addresses(), st.integers(-9, 140))
def test_every_network_can_be_written(address: object, length: int) -> None:
    try:
        expected = ip_network(f"{address}/{length}")
    except ValueError:
        with pytest.raises(ValueError, match="must be networks"):
            values.parse_network(f"{address}/{length}")
    else:
        assert values.parse_network(f"{address}/{length}") == expected


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("namespaces", "mail\n"),
        ("allow_ports", "\u0662\u0665"),
        ("allow_ports", "025"),
        ("allow_token_hosts", "\u212aeycloak.example.com"),
        ("dns_resolvers", "::1:53"),
        ("dns_resolvers", "[:::1]:53"),
        ("dns_resolvers", "10.0.0.10:053"),
        ("dns_resolvers", "https://resolver.example:99999/dns-query"),
        ("allow_cidrs", "10.0.0.0/255.0.0.0"),
    ],
)
def test_what_only_looks_right_is_refused(field: str, text: str) -> None:
    with pytest.raises(SettingsError):
        load({field: [text]}, {})


@pytest.mark.parametrize("field", ["sweep_interval", "stuck_after"])
def test_what_is_waited_for_takes_time(field: str) -> None:
    with pytest.raises(SettingsError, match="must be 1s or more"):
        load({field: "0m0s"}, {})
    assert load({field: "1s"}, {})


def test_every_form_belongs_to_a_setting() -> None:
    used = {rule for info in Settings.model_fields.values() for rule in info.metadata}
    # Single ones are those of a list, too.
    assert {form for form in values.FORMS if form is not values.ADDRESS} <= used


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ((), ""),
        (False, "off"),
        (0, "0"),
        (1024 * 1024, "1Mi"),
        (300.0, "300"),
        (0.5, "0.5"),
        (timedelta(minutes=90), "1h30m"),
        (("0.0.0.0", 8080), "0.0.0.0:8080"),
        ("a", "a"),
    ],
)
def test_a_value_is_shown_as_it_is_given(value: object, text: str) -> None:
    assert values.shown(value) == text
