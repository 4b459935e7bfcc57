# SPDX-License-Identifier: Apache-2.0
"""What is asked of the API server about others, and what of its answers grants anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from postroom.api.masked import Masked
from postroom.controller.reviews import Reviews

ODD: list[dict[str, Any]] = [{}, {"status": None}, {"status": {}}]


class Api:
    """Answers every question alike, and keeps what was asked."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        self.path, self.body = "", dict[str, Any]()

    async def request(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        assert method == "POST" and body is not None
        self.path, self.body = path, dict(body)
        return self.answer


@pytest.mark.parametrize(
    ("status", "known"),
    [
        ({"authenticated": True, "user": {"username": "a"}}, {"username": "a"}),
        ({"authenticated": False, "user": {"username": "a"}}, None),
        ({"authenticated": "true", "user": {"username": "a"}}, None),
        ({"authenticated": True, "user": "a"}, None),
        ({"authenticated": True}, None),
    ],
)
async def test_a_token_is_somebodys_where_the_api_server_says_so(
    status: dict[str, Any], known: dict[str, str] | None
) -> None:
    api = Api({"status": status})
    assert await Reviews(api).review_token(Masked("token")) == known
    assert api.path == "/apis/authentication.k8s.io/v1/tokenreviews"
    assert api.body["spec"] == {"token": "token"}


@pytest.mark.parametrize("answer", [*ODD, {"status": {"allowed": "true"}}])
async def test_nothing_is_granted_by_an_answer_that_does_not_say_it(answer: dict[str, Any]) -> None:
    reviews = Reviews(Api(answer))
    assert not await reviews.may_get({"username": "a"}, "/metrics")
    assert not await reviews.may_write_statuses("mail", "postroom")
    assert await reviews.review_token(Masked("token")) is None
    assert await reviews.own_account("mail") is None


async def test_a_user_is_asked_about_with_all_that_is_known_of_him() -> None:
    api = Api({"status": {"allowed": True}})
    user = {"username": "a", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]}}
    assert await Reviews(api).may_get(user, "/metrics")
    assert api.path == "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert api.body["spec"] == {
        "user": "a",
        "uid": "1",
        "groups": ["g"],
        "extra": {"k": ["v"]},
        "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
    }


async def test_a_service_account_is_asked_about_for_all_namespaces() -> None:
    api = Api({"status": {"allowed": True}})
    assert await Reviews(api).may_write_statuses("mail", "postroom")
    spec = api.body["spec"]
    assert spec["user"] == "system:serviceaccount:mail:postroom"
    assert "system:serviceaccounts:mail" in spec["groups"]
    assert "namespace" not in spec["resourceAttributes"]
    assert spec["resourceAttributes"]["subresource"] == "status"


@pytest.mark.parametrize(
    ("username", "account"),
    [
        ("system:serviceaccount:mail:postroom", "postroom"),
        ("system:serviceaccount:mailbox:postroom", None),
        ("system:serviceaccount:other:postroom", None),
        ("kubernetes-admin", None),
    ],
)
async def test_we_are_a_service_account_of_the_namespace_or_none(
    username: str, account: str | None
) -> None:
    api = Api({"status": {"userInfo": {"username": username}}})
    assert await Reviews(api).own_account("mail") == account
    assert api.path == "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    assert "spec" not in api.body
