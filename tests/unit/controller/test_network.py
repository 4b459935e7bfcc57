# SPDX-License-Identifier: Apache-2.0
"""The ways out of the cluster: built from the settings, and never to the API server."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.controller.network import networks_of, reach
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


async def test_a_host_that_cannot_be_looked_up_is_no_verdict() -> None:
    # Port 9 of loopback: nobody answers there.
    settings = load({"dns_resolvers": "127.0.0.1:9", "dns_authoritative_port": "9"}, {})
    mail = reach(settings, "https://127.0.0.1:6443").mail
    endpoint = Endpoint(
        "smtp.example.com", 587, TLSMode.START_TLS, "smtp.example.com", None, "mail"
    )
    report = await mail.smtp(endpoint, None)
    assert (report.stage, report.conclusive) == (ProbeStage.RESOLVE, False)
