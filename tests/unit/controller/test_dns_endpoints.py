# SPDX-License-Identifier: Apache-2.0
"""DNSEndpoints of ours: written when they differ, and only where a policy is seen to hold us."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.children import Owner
from postroom.controller.client import ApiError
from postroom.controller.dns_endpoints import NoEndpoints, OwnedEndpoints
from postroom.dns.publishing.dns_endpoint import KIND, HandedSet
from postroom.reconcile.status.wanted import Child, ChildState, Wanted
from unit.reconcile.assessments import NOW

OWNER, CHILD = Owner("SendingDomain", "d", "uid-1"), Child(KIND, "d-mail")
KEY = HandedSet("k1._domainkey.example.com", "CNAME", ("k1.example.net",))
WANTED, UNWANTED = Wanted(CHILD, (KEY,)), Wanted(CHILD, None)


class Api:
    """An API server with one DNSEndpoint, and a policy that allows names below example.com."""

    def __init__(self) -> None:
        self.there: dict[str, Any] | None = None
        self.policy = True
        self.served = True
        self.calls: list[str] = []

    async def dns_endpoint(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return self.there

    async def create_dns_endpoint(
        self, namespace: str, endpoint: Mapping[str, Any], *, dry_run: bool = False
    ) -> None:
        assert dry_run, "nothing is created but by server-side apply"
        self._admit(endpoint)

    async def apply_dns_endpoint(
        self, namespace: str, name: str, endpoint: Mapping[str, Any], *, force: bool
    ) -> None:
        self._admit(endpoint)
        self.calls.append("forced" if force else "applied")
        kept = {} if self.there is None else self.there["metadata"]
        self.there = {**endpoint, "metadata": {**kept, **endpoint["metadata"], "uid": "e-1"}}

    async def delete_dns_endpoint(self, namespace: str, name: str, uid: str) -> None:
        assert uid == "e-1"
        self.calls.append("deleted")
        assert self.there is not None
        if self.there["metadata"].get("finalizers"):
            self.there["metadata"]["deletionTimestamp"] = "now"
        else:
            self.there = None

    def _admit(self, endpoint: Mapping[str, Any]) -> None:
        if not self.served:
            raise ApiError("POST", 404)
        metadata = endpoint["metadata"]
        names = [entry["dnsName"] for entry in endpoint["spec"]["endpoints"]]
        ours = bool(metadata["ownerReferences"]) and bool(metadata["labels"])
        if self.policy and not (ours and all(name.endswith("example.com") for name in names)):
            raise ApiError("POST", 422)


def endpoints(api: Api, *, owned: bool = True) -> OwnedEndpoints:
    bucket = TokenBucket(1000, 1000)
    return OwnedEndpoints(
        api, bucket, lambda namespace, owner: owned, now=lambda: NOW + timedelta()
    )


def apply(api: Api, wanted: Wanted, ours: OwnedEndpoints | None = None) -> ChildState:
    return asyncio.run((ours or endpoints(api)).apply("mail", OWNER, wanted))


def test_it_is_made_changed_left_and_deleted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "audit")
    api = Api()
    assert apply(api, WANTED) is ChildState.APPLIED
    assert asyncio.run(endpoints(api).read("mail", "d-mail", "uid-1")) == (KEY,)
    assert apply(api, WANTED) is ChildState.APPLIED
    assert api.there is not None
    api.there["metadata"]["labels"]["added"] = "by a user"
    assert apply(api, WANTED) is ChildState.APPLIED
    assert apply(api, Wanted(CHILD, (KEY._replace(targets=("k2.example.net",)),)))
    assert apply(api, UNWANTED) is ChildState.GONE
    assert apply(api, UNWANTED) is ChildState.GONE
    assert api.calls == ["applied", "forced", "deleted"]
    told = [event["action"] for record in caplog.records for event in vars(record)["audit"]]
    assert told == ["RecordsPublished", "RecordsPublished", "RecordsWithdrawn"]


def test_nothing_is_published_for_whoever_went_while_it_waited_for_its_turn() -> None:
    api = Api()
    with pytest.raises(ApiError) as refused:
        apply(api, WANTED, endpoints(api, owned=False))
    assert refused.value.transient
    assert (api.there, api.calls) == (None, [])


def test_what_somebody_holds_is_not_gone_and_publishes_nothing() -> None:
    api = Api()
    apply(api, WANTED)
    assert api.there is not None
    api.there["metadata"]["finalizers"] = ["example.com/backup"]
    assert apply(api, UNWANTED) is ChildState.ENDING
    assert api.there["spec"] == {"endpoints": []}
    assert apply(api, UNWANTED) is ChildState.ENDING
    assert apply(api, WANTED) is ChildState.ENDING
    assert api.calls == ["applied", "forced", "deleted"]
    api.there = None
    assert apply(api, UNWANTED) is ChildState.GONE


def test_what_is_not_ours_is_left_alone() -> None:
    api = Api()
    foreign: dict[str, Any] = {"metadata": {"uid": "e-1"}, "spec": {"endpoints": [KEY.manifest]}}
    api.there = foreign
    assert asyncio.run(endpoints(api).read("mail", "d-mail", "uid-1")) == ()
    assert apply(api, WANTED) is ChildState.CONFLICT
    assert apply(api, UNWANTED) is ChildState.CONFLICT
    assert (api.there, api.calls) == (foreign, [])


@pytest.mark.parametrize(
    ("reference", "deleted", "state"),
    [
        ({}, False, ChildState.UNAVAILABLE),
        ({}, True, ChildState.ENDING),
        ({"name": "e"}, False, ChildState.CONFLICT),
        ({"kind": "EmailAccount"}, True, ChildState.CONFLICT),
        ({"apiVersion": "example.com/v1"}, False, ChildState.CONFLICT),
    ],
)
def test_what_an_earlier_domain_of_the_name_had_is_nobody_elses(
    reference: dict[str, str], state: ChildState, *, deleted: bool
) -> None:
    """It is collected soon; to rename it or to delete it would be no fix."""
    api = Api()
    assert apply(api, WANTED) is ChildState.APPLIED
    assert api.there is not None
    metadata = api.there["metadata"]
    metadata["ownerReferences"][0] |= {"uid": "uid-0", **reference}
    if deleted:
        metadata |= {"deletionTimestamp": "now", "finalizers": ["example.com/backup"]}
    assert apply(api, WANTED) is state
    assert apply(api, UNWANTED) is ChildState.CONFLICT
    assert api.calls == ["applied"]
    api.there = None
    assert apply(api, WANTED) is ChildState.APPLIED


def test_nothing_is_written_where_no_policy_holds_us() -> None:
    api = Api()
    api.policy = False
    assert apply(api, WANTED) is ChildState.UNGUARDED
    assert api.calls == []


def test_without_the_kind_it_is_not_served() -> None:
    api = Api()
    api.served = False
    assert apply(api, WANTED) is ChildState.NOT_SERVED


def test_where_it_is_not_allowed_nothing_is_read() -> None:
    assert asyncio.run(NoEndpoints().read("mail", "d", "u")) is ChildState.NOT_ALLOWED
