# SPDX-License-Identifier: Apache-2.0
"""HTTPS_PROXY and NO_PROXY lead where kubectl goes (golang.org/x/net/http/httpproxy, and the
networks of k8s.io/apimachinery)."""

from __future__ import annotations

import pytest

from postroom.controller.environment_proxy import is_here, proxy_of_environment

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "http_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("variable", "value", "found"),
    [
        ("https_proxy", "http://h:1", ("http://h:1", "https_proxy")),
        ("HTTPS_PROXY", "http://h:1", ("http://h:1", "HTTPS_PROXY")),
        ("HTTPS_PROXY", "h:1", ("http://h:1", "HTTPS_PROXY")),
        ("http_proxy", "http://h:1", None),
        ("https_proxy", "", None),
    ],
)
def test_the_variable_of_a_proxy_is_known(
    variable: str,
    value: str,
    found: tuple[str, str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    assert proxy_of_environment("https://api.example:6443") == found
    monkeypatch.setenv("no_proxy", "api.example")
    assert proxy_of_environment("https://api.example:6443") is None


@pytest.mark.parametrize(
    ("server", "excepted", "directly"),
    [
        # the Service of the API server, as Pods are told of it
        ("https://10.96.0.1:443", "10.96.0.0/12,.svc,.cluster.local", True),
        ("https://10.112.0.1:443", "10.96.0.0/12", False),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", True),
        ("https://[fd00::1]:6443", "fd00::1", True),
        ("https://10.0.0.1:6443", "10.0.0.1", True),
        ("https://10.0.0.1:6443", "10.0.0.1:6443", True),
        ("https://10.0.0.1:6443", "10.0.0.1:443", False),
        ("https://10.0.0.1", "10.0.0.1:443", True),
        ("https://10.0.0.1", " 10.0.0.2 , 10.0.0.1 ", True),
        ("https://10.0.0.10", "10.0.0.1", False),
        ("https://10.0.0.1", "0.0.1", False),
        ("https://api.example", "*", True),
        ("https://api.example", "example", True),
        ("https://api.example", ".example", True),
        ("https://api.example", "*.example", True),
        ("https://API.example.", "api.EXAMPLE", True),
        ("https://example", ".example", False),
        ("https://example", "*.example", False),
        ("https://badexample", "example", False),
        ("https://api.example:1", "example:2", False),
        ("https://api.example", ",,", False),
        ("https://api.example", ".", False),
        ("https://api.example", "10.0.0.0/99", False),
        # what is asked at this machine is not for others
        ("https://127.0.0.1:6443", "", True),
        ("https://[::1]:6443", "", True),
        ("https://localhost:6443", "", True),
        ("https://localhost.example", "", False),
    ],
)
def test_what_no_proxy_excepts_is_asked_directly(
    server: str, excepted: str, directly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, excepted)
        found = proxy_of_environment(server)
        assert found == (None if directly else (PROXY, "HTTPS_PROXY"))
        monkeypatch.delenv(variable)


def test_what_is_here_is_told_by_the_url_alone() -> None:
    assert (
        is_here("http://127.9.9.9:1") and is_here("http://LOCALHOST.") and is_here("http://[::1]")
    )
    assert not is_here("http://localhost.example") and not is_here("http://10.0.0.1")
