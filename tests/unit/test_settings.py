# SPDX-License-Identifier: Apache-2.0
"""The operator's settings: where they come from, and one clear sentence when they are wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.concurrency.shards import Shard
from postroom.log import LogFormat
from postroom.settings import (
    Settings,
    SettingsError,
    flag,
    load,
    parse_address,
    parse_network,
    parse_port,
    parse_test_recipient,
    parse_token_host,
)


def test_defaults_are_usable() -> None:
    settings = load({}, {})
    assert settings.namespaces == ()
    assert settings.health_address is not None and settings.health_address[1] == 8080
    assert not settings.ownership_key


def test_every_field_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_flags_win_over_the_environment_and_that_over_defaults() -> None:
    environment = {"POSTROOM_WORKERS": "4", "POSTROOM_PROBES_PER_TARGET": "2"}
    settings = load({"workers": "8", "probes_per_target": None}, environment)
    assert (settings.workers, settings.probes_per_target) == (8, 2)


def test_an_empty_list_of_flags_counts_as_not_given() -> None:
    assert load({"namespaces": []}, {"POSTROOM_NAMESPACES": "a"}).namespaces == ("a",)


def test_lists_are_separated_by_commas_in_the_environment() -> None:
    assert load({}, {"POSTROOM_NAMESPACES": "a, b,"}).namespaces == ("a", "b")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("dns_resolvers", "10.0.0.10:53,[::1]:5353", (("10.0.0.10", 53), ("::1", 5353))),
        ("allow_cidrs", "10.0.0.0/8", (ip_network("10.0.0.0/8"),)),
        ("allow_ports", "25,587", (25, 587)),
        ("sweep_interval", "1h30m", timedelta(minutes=90)),
        ("watch_secrets", "true", True),
        ("leader_election", "0", False),
        ("leader_election", "true", True),
        ("log_format", "text", LogFormat.TEXT),
        ("health_address", "off", None),
        ("health_address", "127.0.0.1:81", ("127.0.0.1", 81)),
        ("kubeconfig", "/etc/kubeconfig", Path("/etc/kubeconfig")),
        ("status_writes_per_second", "50.5", 50.5),
    ],
)
def test_texts_of_the_environment_become_values(name: str, text: str, value: object) -> None:
    assert getattr(load({}, {f"POSTROOM_{name.upper()}": text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("dns_resolvers", "resolver.example:53", "IP address and a port"),
        ("dns_resolvers", "10.0.0.10", "IP address and a port"),
        ("dns_resolvers", "10.0.0.10:0", "IP address and a port"),
        ("allow_cidrs", "10.0.0.1/8", "networks"),
        ("allow_ports", "smtp", "ports from 1 to 65535"),
        ("allow_ports", "70000", "ports from 1 to 65535"),
        ("namespaces", "team-*", "names of namespaces"),
        ("sweep_interval", "soon", "duration"),
        ("workers", "0", "must be at least 1"),
        ("workers", "many", "must be a whole number"),
        ("log_format", "xml", "'json' or 'text'"),
        ("watch_secrets", "maybe", "must be true or false"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_takes(name: str, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as from_environment:
        load({}, {f"POSTROOM_{name.upper()}": text})
    assert str(from_environment.value).startswith(f"POSTROOM_{name.upper()}: ")
    with pytest.raises(SettingsError) as from_flag:
        load({name: text}, {})
    assert str(from_flag.value).startswith(f"{flag(name)}: ")
    assert "\n" not in str(from_flag.value)


def test_flags_for_lists_are_named_in_the_singular() -> None:
    assert [flag(name) for name in ("namespaces", "allow_cidrs", "log_level")] == [
        "--namespace",
        "--allow-cidr",
        "--log-level",
    ]


def test_the_ownership_key_is_masked() -> None:
    settings = load({}, {"POSTROOM_OWNERSHIP_KEY": "canary-of-the-key"})
    assert settings.ownership_key.reveal() == "canary-of-the-key"
    assert "canary" not in f"{settings!r} {settings}"


def test_the_ownership_key_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("0123456789abcdef\n")
    settings = load({"ownership_key_file": file}, {})
    assert settings.ownership_key.reveal() == "0123456789abcdef"


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 32, b"x" * 5000])
def test_an_unusable_key_file_is_refused_without_its_content(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match="--ownership-key-file") as error:
        load({"ownership_key_file": file}, {})
    assert "short" not in str(error.value)


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load({"ownership_key_file": tmp_path / "absent"}, {})


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        _, port = parse_address(text)
    except ValueError:
        return
    assert 1 <= port <= 65535


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_address_can_be_written_and_read(address: object, port: int) -> None:
    assert parse_address(f"[{address}]:{port}") == (str(address), port)


def test_files_after_the_first_hold_earlier_ownership_keys(tmp_path: Path) -> None:
    files = []
    for number in range(3):
        file = tmp_path / f"key{number}"
        file.write_text(f"canary-of-key-number-{number}\n")
        files.append(file)
    keys = tuple(f"canary-of-key-number-{number}".encode() for number in range(3))
    for settings in (
        load({"ownership_key_file": files}, {}),
        load({}, {"POSTROOM_OWNERSHIP_KEY_FILE": ",".join(map(str, files))}),
        load(
            {},
            {
                "POSTROOM_OWNERSHIP_KEY": keys[0].decode(),
                "POSTROOM_EARLIER_OWNERSHIP_KEYS": f"{keys[1].decode()}, {keys[2].decode()}",
            },
        ),
    ):
        assert settings.ownership.keys == keys
        assert "canary" not in f"{settings!r} {settings} {settings.ownership!r}"


@pytest.mark.parametrize("variable", ["EARLIER_OWNERSHIP_KEYS", "REQUIRE_OWNERSHIP_TOKEN"])
def test_what_needs_the_present_ownership_key_says_so(variable: str) -> None:
    value = "true" if variable.startswith("REQUIRE") else "canary-of-the-earlier-key"
    with pytest.raises(SettingsError, match=f"^POSTROOM_{variable}: needs the present") as error:
        load({}, {f"POSTROOM_{variable}": value})
    assert "canary" not in str(error.value)
    assert load({}, {f"POSTROOM_{variable}": value, "POSTROOM_OWNERSHIP_KEY": "x" * 16})


def test_an_earlier_key_that_is_too_short_is_refused_without_its_content() -> None:
    with pytest.raises(SettingsError, match="EARLIER_OWNERSHIP_KEYS: must be keys of 16") as error:
        load({}, {"POSTROOM_OWNERSHIP_KEY": "x" * 16, "POSTROOM_EARLIER_OWNERSHIP_KEYS": "shorty"})
    assert "shorty" not in str(error.value)


@pytest.mark.parametrize(
    ("parse", "value", "read"),
    [
        (parse_network, "10.0.0.0/8", ip_network("10.0.0.0/8")),
        (parse_network, ip_network("fd00::/8"), ip_network("fd00::/8")),
        (parse_port, 1, 1),
        (parse_port, "65535", 65535),
        (parse_token_host, " Login.Example.com. ", "login.example.com"),
        (parse_token_host, "*.example.com", "*.example.com"),
        (parse_token_host, "vault", "vault"),
        (parse_test_recipient, " Ops@Example.com", "ops@example.com"),
        (parse_test_recipient, "@example.com", "@example.com"),
    ],
)
def test_entries_of_lists(parse: Callable[[object], object], value: object, read: object) -> None:
    assert parse(value) == read


@pytest.mark.parametrize(
    ("parse", "value", "says"),
    [
        (parse_network, "10.0.0.1/8", "networks"),
        (parse_port, 0, "ports"),
        (parse_port, "65536", "ports"),
        (parse_port, "-1", "ports"),
        (parse_port, None, "ports"),
        (parse_token_host, "", "hosts"),
        (parse_token_host, "10.0.0.1", "hosts"),
        (parse_token_host, "login.*.com", "hosts"),
        (parse_token_host, "https://example.com", "hosts"),
        (parse_token_host, ".".join(["a" * 63] * 4), "hosts"),
        (parse_test_recipient, "example.com", "addresses"),
        (parse_test_recipient, "ops@example", "addresses"),
        (parse_test_recipient, f"{'a' * 250}@example.com", "addresses"),
    ],
)
def test_entries_that_are_refused(
    parse: Callable[[object], object], value: object, says: str
) -> None:
    with pytest.raises(ValueError, match=f"must be {says}"):
        parse(value)


@pytest.mark.parametrize(
    ("flags", "environment", "sentence"),
    [
        (
            {"shard": "0/3", "leader_election": False},
            {},
            "--shard: needs leader election, which --no-leader-election switches off",
        ),
        (
            {},
            {"POSTROOM_SHARD": "postroom-4/3", "POSTROOM_LEADER_ELECTION": "false"},
            "POSTROOM_SHARD: needs leader election, which POSTROOM_LEADER_ELECTION switches off",
        ),
        ({"shard": "3/3"}, {}, "--shard: must be a shard and how many there are"),
    ],
)
def test_a_shard_that_cannot_be_is_one_sentence(
    flags: dict[str, object], environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{sentence}"):
        load(flags, environment)


def test_one_shard_may_do_without_leader_election() -> None:
    assert load({"shard": "0/1", "leader_election": False}, {}).shard == Shard()
