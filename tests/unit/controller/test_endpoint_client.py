# SPDX-License-Identifier: Apache-2.0
"""DNSEndpoints of an API server: the requests that are made, and an absent kind."""

from __future__ import annotations

from typing import Any, cast

import pytest

from postroom.controller.client import ApiError, Cluster
from postroom.controller.endpoint_client import DNSEndpointClient

BASE = "/apis/externaldns.k8s.io/v1alpha1/namespaces/mail/dnsendpoints"
OBJECT = {"kind": "DNSEndpoint"}


class Requests:
    """Stands for the cluster: answers each request, or refuses it."""

    def __init__(self, status: int | None = None) -> None:
        self.status = status
        self.made: list[tuple[str, str]] = []
        self.more: dict[str, Any] = {}

    async def request(self, method: str, path: str, **more: Any) -> Any:
        self.made.append((method, path))
        self.more = more
        if self.status is not None:
            raise ApiError(method, self.status)
        return OBJECT


def client(requests: Requests) -> DNSEndpointClient:
    return DNSEndpointClient(cast("Cluster", requests))


async def test_one_is_read_and_none_or_no_such_kind_is_none() -> None:
    requests = Requests()
    assert await client(requests).dns_endpoint("mail", "d-mail") == OBJECT
    assert requests.made == [("GET", f"{BASE}/d-mail")]
    assert await client(Requests(404)).dns_endpoint("mail", "d-mail") is None


@pytest.mark.parametrize("status", [0, 403, 410, 500])
async def test_other_answers_are_not_taken_for_absence(status: int) -> None:
    with pytest.raises(ApiError):
        await client(Requests(status)).dns_endpoint("mail", "d-mail")


@pytest.mark.parametrize(("dry_run", "query"), [(True, [("dryRun", "All")]), (False, [])])
async def test_a_dry_run_says_so(dry_run: bool, query: list[tuple[str, str]]) -> None:
    requests = Requests()
    await client(requests).create_dns_endpoint("mail", OBJECT, dry_run=dry_run)
    assert requests.made == [("POST", BASE)]
    assert requests.more == {"query": query, "body": OBJECT}


@pytest.mark.parametrize(("force", "text"), [(True, "true"), (False, "false")])
async def test_it_is_applied_as_ours_and_takes_from_others_only_when_asked(
    force: bool, text: str
) -> None:
    requests = Requests()
    await client(requests).apply_dns_endpoint("mail", "d-mail", OBJECT, force=force)
    assert requests.made == [("PATCH", f"{BASE}/d-mail")]
    assert requests.more == {
        "query": [("fieldManager", "postroom"), ("force", text)],
        "body": OBJECT,
        "content_type": "application/apply-patch+yaml",
    }


async def test_only_the_object_of_the_uid_is_deleted() -> None:
    requests = Requests()
    await client(requests).delete_dns_endpoint("mail", "d-mail", "uid-1")
    assert requests.made == [("DELETE", f"{BASE}/d-mail")]
    assert requests.more == {"body": {"preconditions": {"uid": "uid-1"}}}


async def test_a_name_never_leaves_its_place_in_the_path() -> None:
    requests = Requests()
    await client(requests).dns_endpoint("a/b", "../secrets?x")
    ((_, path),) = requests.made
    assert path.endswith("/namespaces/a%2Fb/dnsendpoints/..%2Fsecrets%3Fx")
