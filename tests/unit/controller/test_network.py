# SPDX-License-Identifier: Apache-2.0
"""The ways out of the cluster: built from the settings, and never to the API server."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.controller import network
from postroom.controller.network import networks_of, reach
from postroom.dns.asking.resolver import DnsAsker
from postroom.mail.connect.dial import Resolve
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.oauth.exchange import HttpsExchange
from postroom.mail.report import Endpoint
from postroom.settings import load


@pytest.mark.parametrize(
    ("url", "networks"),
    [
        ("https://10.96.0.1:443", ["10.96.0.1/32"]),
        ("https://[fd00::1]:6443", ["fd00::1/128"]),
        ("https://kubernetes.default.svc", []),
        ("nonsense", []),
    ],
)
def test_the_address_of_the_api_server_is_denied(url: str, networks: list[str]) -> None:
    assert list(networks_of(url)) == [ip_network(one) for one in networks]


@pytest.mark.parametrize(
    ("opened", "address", "may"),
    [
        ("", "10.0.0.5", False),
        ("", "198.51.100.7", False),
        ("", "1.1.1.1", True),
        ("10.0.0.0/8", "10.0.0.5", True),
        ("0.0.0.0/0", "169.254.169.254", False),
        ("0.0.0.0/0", "10.96.0.1", False),
    ],
)
async def test_name_servers_stand_behind_the_dial_guard(
    monkeypatch: pytest.MonkeyPatch, opened: str, address: str, may: bool
) -> None:
    given: dict[str, Any] = {}

    class Asker(DnsAsker):
        def __init__(self, *args: Any, **options: Any) -> None:
            given.update(options)
            super().__init__(*args, **options)

    monkeypatch.setattr(network, "DnsAsker", Asker)
    reach(load({"allow_cidrs": opened or None}, {}), "https://10.96.0.1:443")
    assert given["may_ask"](address) is may


async def test_services_are_dialled_in_a_cluster_with_a_domain_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Our own Pod's resolver tells the domain; DNS knows a Service by its name in full alone."""
    looks = []

    class Asker(DnsAsker):
        async def resolve_host(self, host: str) -> tuple[str, ...] | None:
            looks.append(host)
            return ()

    class Exchange(HttpsExchange):
        def __init__(self, guard: DialPolicy, resolve: Resolve, **options: Any) -> None:
            looked_up.append(resolve)
            super().__init__(guard, resolve, **options)

    looked_up: list[Resolve] = []
    monkeypatch.setattr(network, "DnsAsker", Asker)
    monkeypatch.setattr(network, "HttpsExchange", Exchange)
    monkeypatch.setattr(network, "search_domains", lambda: ("svc.k8s.corp", "k8s.corp"))
    out = reach(load({}, {}), "")
    # Token endpoints may be Services as well.
    await looked_up[0]("keycloak.mail.svc")
    assert looks == ["keycloak.mail.svc.k8s.corp", "keycloak.mail.svc"]
    looks.clear()
    await out.mail.probe(Endpoint("a.mail.svc", 25, TLSMode.NONE, "a.mail.svc", None, "mail"), None)
    assert looks == ["a.mail.svc.k8s.corp", "a.mail.svc"]
    assert network.dial_policy(load({}, {}), "").cluster_domains == ("k8s.corp", "cluster.local")


async def test_a_host_that_cannot_be_looked_up_is_no_verdict() -> None:
    # Port 9 of loopback: nobody answers there.
    settings = load({"dns_resolvers": "127.0.0.1:9", "dns_authoritative_port": "9"}, {})
    mail = reach(settings, "https://127.0.0.1:6443").mail
    endpoint = Endpoint(
        "smtp.example.com", 587, TLSMode.START_TLS, "smtp.example.com", None, "mail"
    )
    report = await mail.probe(endpoint, None)
    assert (report.stage, report.conclusive) == (ProbeStage.RESOLVE, False)
