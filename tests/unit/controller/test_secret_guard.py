# SPDX-License-Identifier: Apache-2.0
"""Whether a policy keeps the operator from Secrets that are not its own: each try alone decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from postroom.controller.client import ApiError
from postroom.controller.secret_guard import SecretGuard
from unit.reconcile.assessments import NOW

OWN: dict[str, Any] = {
    "type": "postroom.dev/refresh-token",
    "metadata": {
        "name": "kept",
        "namespace": "mail",
        "labels": {"ours": "true"},
        "ownerReferences": [{"kind": "EmailAccount"}],
    },
}


def reason_to_refuse(secret: Mapping[str, Any], labelled: bool) -> str | None:
    """What the whole policy has against a Secret."""
    metadata = secret["metadata"]
    if secret["type"] != OWN["type"]:
        return "type"
    if not metadata.get("ownerReferences"):
        return "owner"
    if labelled and "labels" not in metadata:
        return "no labels"
    if labelled and "postroom.dev/dry-run" in metadata["labels"]:
        return "dry run"
    return None


class Api:
    """Refuses what the policy does, but for one rule that it lacks."""

    def __init__(self, *, labelled: bool = False, lacks: str = "", status: int = 422) -> None:
        self.labelled, self.lacks, self.status = labelled, lacks, status
        self.says = ""
        self.time = NOW
        self.tried: list[str] = []

    def now(self) -> datetime:
        return self.time

    async def create(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None:
        assert dry_run, "nothing may be created"
        assert "name" not in secret["metadata"]
        self.tried.append(namespace)
        reason = reason_to_refuse(secret, self.labelled)
        assert reason is not None, "what is ours is not tried"
        if reason != self.lacks:
            raise ApiError("POST", self.status, self.says, causes=frozenset({self.says}))


def guard(api: Api) -> SecretGuard:
    return SecretGuard(api, api.now, labelled=api.labelled)


@pytest.mark.parametrize(("labelled", "tries"), [(False, 2), (True, 4)])
@pytest.mark.parametrize("status", [422, 403])
async def test_a_policy_that_refuses_all_that_only_resembles_is_in_force(
    labelled: bool, tries: int, status: int
) -> None:
    api = Api(labelled=labelled, status=status)
    assert await guard(api).in_force("mail", OWN)
    assert api.tried == ["mail"] * tries


@pytest.mark.parametrize("lacks", ["type", "owner", "no labels", "dry run"])
async def test_a_policy_that_lacks_one_rule_is_not(lacks: str) -> None:
    assert not await guard(Api(labelled=True, lacks=lacks)).in_force("mail", OWN)


@pytest.mark.parametrize("status", [0, 401, 404, 409, 429, 500])
async def test_an_error_is_no_refusal(status: int) -> None:
    with pytest.raises(ApiError):
        await guard(Api(status=status)).in_force("mail", OWN)


async def test_it_is_believed_for_ten_minutes_in_that_namespace_alone() -> None:
    api = Api()
    tried = guard(api)
    for minutes, expected in ((0, 2), (9, 2), (10, 4)):
        api.time = NOW + timedelta(minutes=minutes)
        assert await tried.in_force("mail", OWN)
        assert api.tried.count("mail") == expected
    assert await tried.in_force("other", OWN)
    assert api.tried.count("other") == 2


async def test_a_policy_that_is_gone_is_noticed_and_not_forgiven_by_the_clock() -> None:
    api = Api()
    tried = guard(api)
    assert await tried.in_force("mail", OWN)
    api.lacks = "type"
    # A clock that was set back makes nothing known.
    api.time = NOW - timedelta(seconds=1)
    assert not await tried.in_force("mail", OWN)
    api.time = NOW
    assert not await tried.in_force("mail", OWN)


async def test_what_is_tried_may_be_of_another_kind() -> None:
    def foreign(own: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"type": "x", "metadata": {"of": own["type"]}}

    api = Api()
    assert await SecretGuard(api, api.now, foreign).in_force("mail", OWN)
    assert api.tried == ["mail"]


@pytest.mark.parametrize(
    "says",
    [
        'secrets "postroom-dry-run-x" is forbidden: exceeded quota: few, requested: secrets=1',
        'secrets "postroom-dry-run-x" is forbidden: failed quota: few: must specify limits',
        'secrets is forbidden: User "x" cannot create resource "secrets" in API group ""',
        "NamespaceTerminating",
    ],
)
async def test_a_refusal_that_is_no_policys_says_nothing_of_one(says: str) -> None:
    """Once the quota has room, or the right is there, what is not guarded would be written."""
    api = Api(status=403)
    api.says = says
    guarding = guard(api)
    with pytest.raises(ApiError):
        await guarding.in_force("mail", OWN)
    api.says, api.lacks = "", "type"
    assert not await guarding.in_force("mail", OWN)
