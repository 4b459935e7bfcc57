# SPDX-License-Identifier: Apache-2.0
"""What the API server says of others: whose a token is, and what somebody may do."""

from collections.abc import Mapping
from typing import Any, Protocol

from postroom.api.masked import Masked
from postroom.api.names import GROUP, Kind

_AUTHENTICATION = "authentication.k8s.io/v1"
_AUTHORIZATION = "authorization.k8s.io/v1"


class Asked(Protocol):
    """The part of `postroom.controller.client.Cluster` that this needs."""

    async def request(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]: ...


class Reviews:
    """Questions to the API server about others, and about ourselves; each raises `ApiError`."""

    def __init__(self, cluster: Asked) -> None:
        self._cluster = cluster

    async def review_token(self, token: Masked) -> Mapping[str, Any] | None:
        """Return the user whom a bearer token authenticates, None if it is good for nobody."""
        status = await self._review(_AUTHENTICATION, "TokenReview", {"token": token.reveal()})
        user = status.get("user")
        known = status.get("authenticated") is True and isinstance(user, Mapping)
        return user if known else None

    async def may_get(self, user: Mapping[str, Any], path: str) -> bool:
        """Whether a reviewed user may ``get`` a non-resource URL."""
        asked = {
            "user": user.get("username"),
            "uid": user.get("uid"),
            "groups": user.get("groups") or [],
            "extra": user.get("extra") or {},
            "nonResourceAttributes": {"path": path, "verb": "get"},
        }
        status = await self._review(_AUTHORIZATION, "SubjectAccessReview", asked)
        return status.get("allowed") is True

    async def may_write_statuses(self, namespace: str, account: str) -> bool:
        """Whether a ServiceAccount may write what we write: an account's status, in all
        namespaces."""
        whose = "system:serviceaccounts"
        asked = {
            "user": f"{_prefix(namespace)}{account}",
            "groups": [whose, f"{whose}:{namespace}", "system:authenticated"],
            "resourceAttributes": {
                "group": GROUP,
                "resource": Kind.EMAIL_ACCOUNT.plural,
                "subresource": "status",
                "verb": "update",
            },
        }
        status = await self._review(_AUTHORIZATION, "SubjectAccessReview", asked)
        return status.get("allowed") is True

    async def own_account(self, namespace: str) -> str | None:
        """Return the ServiceAccount of a namespace that we are, None if we are none of it."""
        status = await self._review(_AUTHENTICATION, "SelfSubjectReview", None)
        name = str((status.get("userInfo") or {}).get("username") or "")
        return (
            name.removeprefix(_prefix(namespace)) if name.startswith(_prefix(namespace)) else None
        )

    async def _review(
        self, version: str, kind: str, spec: Mapping[str, Any] | None
    ) -> Mapping[str, Any]:
        body = {"apiVersion": version, "kind": kind, **({"spec": spec} if spec else {})}
        answer = await self._cluster.request("POST", f"/apis/{version}/{kind.lower()}s", body=body)
        return answer.get("status") or {}


def _prefix(namespace: str) -> str:
    return f"system:serviceaccount:{namespace}:"
