# SPDX-License-Identifier: Apache-2.0
"""Under which names something is shown without a token: those that no stranger can give.

Covers: what browsers, kubelets, scrapers, port-forwards and Services call us; names that strangers
register, however they look like ours; and that a token makes the name no matter.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from postroom.controller.health import add_metrics
from postroom.controller.served_names import ServedNames, search_domains
from postroom.metrics import Metrics

#: As in a Pod of the namespace, with a cluster domain of its own.
SEARCH = ("mail-system.svc.corp.example", "svc.corp.example", "corp.example", "isp.example")
OURS = ServedNames(("ops.example.com", "*.in.example.com"), "mail-system", SEARCH)


@pytest.mark.parametrize(
    "authority",
    [
        # a kubelet's probe, and Prometheus, which finds Pods by their addresses
        "10.244.1.7:8080",
        "10.244.1.7",
        "[fd00::7]:8080",
        "[::1]",
        # kubectl port-forward
        "localhost:8080",
        "localhost",
        "LOCALHOST.",
        "postroom.localhost:8080",
        "127.0.0.1:43210",
        # Services and Pods
        "postroom:8080",
        "postroom-6d4cf56db6-x2x4q",
        "postroom.mail-system",
        "postroom.mail-system:8080",
        "postroom.other.svc",
        "postroom.mail-system.svc.cluster.local:8080",
        "postroom.mail-system.svc.cluster.local.",
        "10-244-1-7.mail-system.pod.cluster.local",
        "postroom.mail-system.svc.corp.example:8080",
        "10-244-1-7.mail-system.pod.corp.example",
        # what an administrator lists
        "ops.example.com",
        "OPS.Example.COM:443",
        "postroom.in.example.com",
    ],
)
def test_names_that_are_ours_are_answered(authority: str) -> None:
    assert OURS.has(authority)


@pytest.mark.parametrize(
    "authority",
    [
        "evil.example",
        "evil.example:8080",
        "evil.example.",
        "10.244.1.7.nip.io",
        "10.244.1.7.evil.example:8080",
        "localhost.evil.example",
        "postroom.mail-system.evil.example",
        "postroom.mail-system.svc.evil.example",
        "svc.cluster.local.evil.example",
        "evilsvc.corp.example",
        # beside the cluster's own names others may give some
        "evil.corp.example",
        "evil.isp.example",
        "example.com",
        "xops.example.com",
        "a.ops.example.com",
        "a.b.in.example.com",
        "in.example.com",
        "evil.local",
        "",
        ".",
        "[::1].evil.example",
        "[10.0.0.1].evil.example",
        "1.2.3.4.5",
        "256.0.0.1.evil.example",
    ],
)
def test_names_that_a_stranger_may_give_are_not(authority: str) -> None:
    assert not OURS.has(authority)


@pytest.mark.parametrize(
    ("namespace", "has"),
    [
        ("mail-system", True),
        ("team1", True),
        (None, False),
        # of which somebody may register a name
        ("dev", False),
        ("postroom", False),
        ("xn--p1ai", False),
    ],
)
def test_a_namespace_that_may_be_a_top_level_domain_makes_no_name_ours(
    namespace: str | None, has: bool
) -> None:
    names = ServedNames(namespace=namespace)
    assert names.has(f"metrics.{namespace}") is has
    assert names.has(f"metrics.{namespace}.svc")


LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@given(st.lists(LABEL, min_size=1, max_size=5), st.sampled_from(["com", "example", "dev", "io"]))
def test_whatever_stands_before_a_public_domain_it_stays_a_strangers(
    labels: list[str], domain: str
) -> None:
    assert not ServedNames(namespace="mail-system", search=SEARCH[:1]).has(
        ".".join([*labels, domain])
    )


@pytest.mark.parametrize(
    ("text", "domains"),
    [
        (
            "search a.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n"
            "options ndots:5\n",
            ("a.svc.cluster.local", "svc.cluster.local", "cluster.local"),
        ),
        (
            "search one.example\nsearch Two.example. three.example\n",
            ("two.example", "three.example"),
        ),
        ("# search a\nnameserver 10.0.0.1\nsearches a\n", ()),
        ("", ()),
    ],
)
def test_where_a_resolver_looks_is_what_its_file_says(
    text: str, domains: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(text)
    assert search_domains(file) == domains
    assert search_domains(tmp_path / "none") == ()


async def asked(app: web.Application, path: str, *lines: str) -> int:
    """The status of a request with just these lines of a header; only HTTP/1.0 may have none."""
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        version = "1.1" if lines else "1.0"
        head = "\r\n".join([f"GET {path} HTTP/{version}", "Connection: close", *lines])
        writer.write(f"{head}\r\n\r\n".encode())
        status = (await reader.readline()).split()[1]
        writer.close()
    return int(status)


def metrics_behind(*ask_tokens: str) -> web.Application:
    app = web.Application(middlewares=[OURS.guard(ask_tokens)])
    add_metrics(app, Metrics())
    return app


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Host: localhost:8080"], 200),
        (["Host: evil.example"], 421),
        (["Host: evil.example", "X-Forwarded-Host: localhost"], 421),
        (["Host: evil.example", "Authorization: Bearer guessed"], 421),
        # No browser leaves it out.
        ([], 200),
    ],
)
async def test_what_is_shown_to_everybody_is_shown_under_our_names(
    lines: list[str], status: int
) -> None:
    assert await asked(metrics_behind(), "/metrics", *lines) == status


@pytest.mark.parametrize(
    ("path", "status"), [("/metrics", 200), ("/none", 421), ("/metrics/", 421), ("/ui", 421)]
)
async def test_where_a_token_is_asked_for_the_name_does_not_matter(path: str, status: int) -> None:
    assert await asked(metrics_behind("/metrics", "/ui"), path, "Host: evil.example") == status


async def test_whoever_asks_under_a_strangers_name_is_told_what_to_set() -> None:
    async with TestClient(TestServer(metrics_behind())) as client:
        answer = await client.get("/metrics", headers={"Host": "<i>evil.example"})
        text = await answer.text()
    assert "--allow-http-host" in text
    assert "evil" not in text
    assert "postroom_" not in text
