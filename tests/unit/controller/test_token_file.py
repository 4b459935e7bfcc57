# SPDX-License-Identifier: Apache-2.0
"""Tokens in files: a new one is used without a restart, a broken file leaves the old one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from postroom.controller import kubeconfig
from postroom.controller.token_file import TokenFile


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def served(path: Path) -> tuple[SimpleNamespace, Clock]:
    """A configuration that takes its token from a file."""
    configuration, clock = SimpleNamespace(api_key={}, refresh_api_key_hook=None), Clock()
    TokenFile(path, clock).serve(configuration)
    return configuration, clock


def asked(configuration: SimpleNamespace) -> object:
    """The token of the next request."""
    configuration.refresh_api_key_hook(configuration)
    return configuration.api_key.get("BearerToken")


def test_a_new_token_is_used_within_seconds(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    configuration, clock = served(path)
    assert asked(configuration) == "Bearer one"
    path.write_text("two\n")
    assert asked(configuration) == "Bearer one"
    clock.now += 5
    assert asked(configuration) == "Bearer two"


@pytest.mark.parametrize("broken", [None, b"", b"\n", b"\xff\xfe"])
def test_a_file_that_cannot_be_read_leaves_the_token(tmp_path: Path, broken: bytes | None) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    configuration, clock = served(path)
    path.unlink() if broken is None else path.write_bytes(broken)
    clock.now += 5
    assert asked(configuration) == "Bearer one"
    path.write_text("two")
    clock.now += 5
    assert asked(configuration) == "Bearer two"


@pytest.mark.parametrize("named", ["token", "below/token", "{}/token"])
async def test_the_token_file_of_a_kubeconfig_is_read_again(
    tmp_path: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postroom.controller.token_file._FRESH", 0.0)
    path = tmp_path / named.format(tmp_path)
    path.parent.mkdir(exist_ok=True)
    path.write_text("one")
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {"tokenFile": named.format(tmp_path)}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    found = await kubeconfig.connection(tmp_path / "config")
    try:
        settings = await found.configuration.auth_settings()
        assert settings["BearerToken"]["value"] == "Bearer one"
        path.write_text("two")
        settings = await found.configuration.auth_settings()
        assert settings["BearerToken"]["value"] == "Bearer two"
    finally:
        await found.api.close()
