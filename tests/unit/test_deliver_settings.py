# SPDX-License-Identifier: Apache-2.0
"""The worker's settings: the operator's as far as they concern it, and its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom import deliver_settings
from postroom.concurrency.shards import Shard
from postroom.deliver_settings import (
    OWN,
    SHARED,
    DeliverSettings,
    load,
    parse_size,
    require_nats,
)
from postroom.delivery.sinks.jetstream import Server
from postroom.settings import Settings, SettingsError

MEBI = 1024 * 1024
NATS = (
    "must be a URL such as tls://nats.example:4222 or nats://nats.example:4222, without user and "
    "password"
)
NAME = "must be a name of letters, digits, - and _, 64 at most"


def test_defaults_are_usable() -> None:
    settings = load({}, {})
    assert (settings.spool, settings.spool_dir) == (128 * MEBI, None)
    assert settings.common == Settings()


def test_what_is_shared_there_is_and_what_is_own_is_described() -> None:
    assert set(SHARED) <= Settings.model_fields.keys()
    assert all(DeliverSettings.model_fields[name].description for name in OWN)


def test_flags_and_variables_are_the_operators() -> None:
    flags = {"spool": "256Mi", "shard": "1/3", "namespaces": ["mail"], "spool_dir": "/spool"}
    settings = load(flags, {"POSTROOM_SPOOL": "8Mi", "POSTROOM_LOG_FORMAT": "text"})
    assert (settings.spool, settings.common.shard) == (256 * MEBI, Shard(1, 3))
    assert settings.spool_dir == Path("/spool")
    assert (settings.common.namespaces, settings.common.log_format.value) == (("mail",), "text")


def test_what_the_operator_alone_can_do_stays_off() -> None:
    assert not load({}, {"POSTROOM_UI": "true", "POSTROOM_ALLOW_BINDINGS": "true"}).common.ui


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"spool": "a lot"}, "--spool: must be a size from 4Mi to 64Gi, such as 128Mi"),
        ({"spool": "1Mi"}, "--spool: must be a size from 4Mi to 64Gi, such as 128Mi"),
        ({"shard": "3/3"}, "--shard: must be a shard and how many there are, from 0/1 to 63/64"),
        ({"nats_url": "nats.example:4222"}, f"--nats-url: {NATS}"),
        ({"nats_url": "http://nats.example"}, f"--nats-url: {NATS}"),
        ({"nats_url": "nats://user:secret@nats.example"}, f"--nats-url: {NATS}"),
        ({"nats_url": "tls://"}, f"--nats-url: {NATS}"),
        ({"nats_url": "tls://nats.example:99999"}, f"--nats-url: {NATS}"),
        ({"nats_url": "tls://nats.example/x"}, f"--nats-url: {NATS}"),
        ({"nats_stream": "a.b"}, f"--nats-stream: {NAME}"),
        ({"nats_object_store": ">"}, f"--nats-object-store: {NAME}"),
        ({"namespaces": ["*"]}, "--namespace: must be names of namespaces, without patterns"),
    ],
)
def test_a_wrong_value_is_one_sentence(flags: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(flags, {})
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("text", "octets"), [("4Mi", 4 * MEBI), ("4096Ki", 4 * MEBI), ("1Gi", 1024 * MEBI)]
)
def test_sizes_are_written_as_in_kubernetes(text: str, octets: int) -> None:
    assert parse_size(text) == octets


def test_a_stream_is_where_nats_is() -> None:
    assert load({}, {}).nats is None
    flags = {"nats_url": "tls://nats.example:4222", "nats_ca_file": "/nats/ca.crt"}
    server = load(flags, {"POSTROOM_NATS_OBJECT_STORE": "mail"}).nats
    assert server == Server(
        "tls://nats.example:4222", "postroom", "mail", ca_file=Path("/nats/ca.crt")
    )
    assert server.is_secure


def test_whoever_asks_for_nats_without_its_package_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = load({"nats_url": "nats://nats.example"}, {})
    require_nats(asked)
    monkeypatch.setattr(deliver_settings, "find_spec", lambda name: None)
    require_nats(load({}, {}))
    with pytest.raises(SettingsError) as raised:
        require_nats(asked)
    assert str(raised.value) == (
        "--nats-url: needs the package nats-py, which is not installed: pip install "
        "'postroom[nats]'"
    )
