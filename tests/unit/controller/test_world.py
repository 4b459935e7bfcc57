# SPDX-License-Identifier: Apache-2.0
"""The world of the cluster: objects from the cache, Secrets by name, and limits per mail server."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, cast

import pytest

from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.controller.cache import Cache
from postroom.controller.client import ApiError
from postroom.controller.world import ClusterWorld, SharedReads
from postroom.dns.ownership import OwnershipRules
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint
from postroom.metrics import Metrics
from postroom.reconcile.signing_in.references import not_permitted
from postroom.reconcile.world import LookupUnavailable, Outbound
from scrapes import scraped
from unit.controller.samples import ACCOUNT, SERVER, stored

SECRET = {
    "metadata": {"name": "login", "uid": "uid-9", "resourceVersion": "7"},
    "data": {"username": base64.b64encode(b"me").decode(), "binary": "/w==", "broken": "%"},
}


class Sources:
    """Secrets and ConfigMaps, and how often they were read."""

    def __init__(self, answer: Mapping[str, Any] | ApiError | None) -> None:
        self.answer = answer
        self.reads = 0

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        self.reads += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer

    config_map = secret


def world(sources: Sources, cache: Cache | None = None) -> ClusterWorld:
    nothing = cast("Any", None)
    out = Outbound(nothing, nothing, nothing)
    return ClusterWorld(cache or Cache(), sources, out, OwnershipRules((b"a-key",)))


async def test_objects_come_typed_from_the_cache() -> None:
    cache = Cache()
    cache.put(SERVER.kind, stored(SERVER))
    found = await world(Sources(None), cache).get(*SERVER)
    assert found is not None and found.key == SERVER


async def test_objects_that_are_absent_or_invalid_are_none() -> None:
    cache = Cache()
    cache.put(SERVER.kind, stored(SERVER, spec={"host": 5}))
    one = world(Sources(None), cache)
    assert await one.get(*SERVER) is None
    assert await one.get(*ACCOUNT) is None


async def test_objects_are_found_by_index_in_the_order_of_their_names() -> None:
    cache = Cache()
    for name in "ba":
        cache.put(SERVER.kind, stored(SERVER._replace(name=name), uid=name))
    found = await world(Sources(None), cache).find(Kind.MAIL_SERVER, "mail", "default=true")
    assert [one.metadata.name for one in found] == ["a", "b"]


async def test_a_secret_comes_decoded_and_masked() -> None:
    secret = await world(Sources(SECRET)).secret("mail", "login")
    assert secret is not None
    assert secret.data == {"username": Masked("me")}
    assert (secret.uid, secret.resource_version, secret.allowed_hosts) == ("uid-9", "7", None)


@pytest.mark.parametrize("demanded", [True, False])
async def test_where_consent_is_demanded_a_secret_that_names_no_host_goes_to_none(
    demanded: bool,
) -> None:
    nothing = cast("Any", None)
    out = Outbound(nothing, nothing, nothing)
    rules = OwnershipRules((b"a-key",))
    one = ClusterWorld(Cache(), Sources(SECRET), out, rules, require_consent=demanded)
    secret = await one.secret("mail", "login")
    assert secret is not None
    assert secret.allowed_hosts == (() if demanded else None)
    refusal = not_permitted(secret, "spec.credentialsRef", "smtp.example.com")
    assert (refusal is not None) is demanded
    if refusal is not None:
        assert "annotation postroom.dev/allowed-hosts" in refusal.message


async def test_a_config_map_comes_as_text() -> None:
    raw = {"metadata": {"name": "ca", "resourceVersion": "3"}, "data": {"ca.crt": "PEM"}}
    content = await world(Sources(raw)).config_map("mail", "ca")
    assert content is not None and content.data == {"ca.crt": "PEM"}


async def test_what_does_not_exist_is_none() -> None:
    assert await world(Sources(None)).secret("mail", "login") is None


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (403, "permission to get secrets in namespace mail"),
        (503, "asked again"),
        (0, "asked again"),
    ],
)
async def test_what_could_not_be_asked_is_not_taken_for_absent(status: int, says: str) -> None:
    with pytest.raises(LookupUnavailable, match=says) as error:
        await world(Sources(ApiError("GET", status, "internal detail"))).secret("mail", "login")
    assert "internal detail" not in error.value.sentence


async def test_what_may_not_be_read_is_logged_once_and_again_when_it_was_allowed_between(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sources, forbidden = Sources(None), ApiError("GET", 403, "no")
    one = world(sources)
    for answer, told in ((forbidden, 1), (forbidden, 1), (None, 1), (forbidden, 2)):
        sources.answer = answer
        one.forget_sources("mail")
        if answer is None:
            assert await one.secret("mail", "login") is None
        else:
            with pytest.raises(LookupUnavailable) as error:
                await one.secret("mail", "login")
            assert error.value.reason is Reason.READ_FORBIDDEN
        assert len(caplog.messages) == told
    sources.answer = ApiError("GET", 503, "away")
    with pytest.raises(LookupUnavailable) as error:
        await one.config_map("mail", "ca")
    assert error.value.reason is Reason.PROGRESSING
    assert "namespace mail" in caplog.messages[0] and "get on secrets" in caplog.messages[0]
    assert len(caplog.messages) == 2


async def test_many_who_ask_at_once_share_one_read() -> None:
    sources = Sources(SECRET)
    one = world(sources)
    await asyncio.gather(*(one.secret("mail", "login") for _ in range(20)))
    assert sources.reads == 1


async def test_a_read_serves_for_a_moment_only() -> None:
    sources = Sources(SECRET)
    reads = SharedReads(sources.secret, shared_for=0.01)
    await reads.get("mail", "login")
    await asyncio.sleep(0.05)
    assert list(reads._reads) == []
    await reads.get("mail", "login")
    assert sources.reads == 2


async def test_a_change_that_is_known_is_read_at_once() -> None:
    sources = Sources(SECRET)
    one = world(sources)
    await one.secret("mail", "login")
    one.forget_sources("mail", "another")
    await one.secret("mail", "login")
    assert sources.reads == 1
    one.forget_sources("mail", "login")
    await one.secret("mail", "login")
    assert sources.reads == 2


async def test_who_gives_up_waiting_does_not_end_the_read_of_others() -> None:
    sources = Sources(SECRET)
    one = world(sources)
    first = asyncio.ensure_future(one.secret("mail", "login"))
    second = asyncio.ensure_future(one.secret("mail", "login"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None


async def test_sessions_are_counted_by_what_came_of_them() -> None:
    async def nowhere(host: str) -> tuple[str, ...]:
        return ()

    metrics = Metrics()
    probes = NetworkProbes(DialPolicy(), nowhere)
    probes.observe = metrics.observe_session
    for host in ("a.example", "b.example"):
        where = Endpoint(host, 993, TLSMode.IMPLICIT, host, None, "mail")
        await probes.probe(where, None, "INBOX")
    labels = {"kind": "imap", "stage": "Resolve", "reason": "HostNotFound"}
    assert metrics.registry.get_sample_value("postroom_mail_sessions_total", labels) == 2
    count = "postroom_mail_session_duration_seconds_count"
    assert metrics.registry.get_sample_value(count, {"kind": "imap"}) == 2
    assert "example" not in await scraped(metrics)
