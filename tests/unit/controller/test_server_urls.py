# SPDX-License-Identifier: Apache-2.0
"""URLs by which servers and proxies can be asked, and what is wrong with others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from postroom.controller.server_urls import fault_of, fault_of_proxy, fault_of_server


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1:6443",
        "HTTPS://api.example",
        "http://[::1]:80/k8s/clusters/c-1",
        "https://[fe80::1%eth0]:1",
        "https://b\u00fccher.example.:65535/",
        "https://under_score.svc:",
    ],
)
def test_a_url_that_can_be_asked_has_no_fault(url: str) -> None:
    assert fault_of(url) is fault_of_server(url) is None


def test_a_user_is_for_proxies() -> None:
    assert fault_of("http://u:p@h:1") is None
    assert fault_of_server("http://u:p@h:1") == "holds a user, which users says"


@given(st.text("ahtps:/[].@?#\\ 0169%-\u0661\t\n") | st.integers())
def test_what_has_no_fault_is_taken_by_the_client(rest: str | int) -> None:
    url = f"https://{rest}" if isinstance(rest, str) else rest
    if fault_of(url) is None:
        assert URL(str(url)).raw_host
        assert 0 < (URL(str(url)).port or 0) < 65536


@pytest.mark.parametrize("scheme", ["socks5", "SOCKS5h", "socks4"])
def test_a_proxy_of_socks_is_named(scheme: str) -> None:
    assert (
        fault_of_proxy(f"{scheme}://h:1")
        == "names a proxy that speaks SOCKS, which postroom does not"
    )
    assert fault_of_proxy("http://u:p@h:1") is None
    assert fault_of_proxy("h:1") == fault_of("h:1")
