# SPDX-License-Identifier: Apache-2.0
"""What is asked of an API server about DNSEndpoints, a kind of external-dns."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from postroom.controller.client import ApiError, Cluster
from postroom.dns.publishing.dns_endpoint import API_VERSION

_APPLY_PATCH = "application/apply-patch+yaml"


class DNSEndpointClient:
    """The DNSEndpoints of a cluster; every call raises `ApiError`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def dns_endpoint(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Return one DNSEndpoint, None if there is none, or no such kind."""
        try:
            return await self._cluster.request("GET", _path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def create_dns_endpoint(
        self, namespace: str, endpoint: Mapping[str, Any], *, dry_run: bool = False
    ) -> None:
        """Create a DNSEndpoint; a dry run passes authorization and admission, and persists nothing.

        An ApiError with status 404 means that the API server knows no such kind.
        """
        query = [("dryRun", "All")] if dry_run else []
        await self._cluster.request("POST", _path(namespace), query=query, body=endpoint)

    async def apply_dns_endpoint(
        self, namespace: str, name: str, endpoint: Mapping[str, Any], *, force: bool
    ) -> None:
        """Apply a DNSEndpoint, with its fields as ours; `force` takes them from other managers.

        An ApiError with status 409 means that others have one of the fields, or that it is not the
        object of this uid.
        """
        query = [("fieldManager", "postroom"), ("force", "true" if force else "false")]
        await self._cluster.request(
            "PATCH", _path(namespace, name), query=query, body=endpoint, content_type=_APPLY_PATCH
        )

    async def delete_dns_endpoint(self, namespace: str, name: str, uid: str) -> None:
        """Delete a DNSEndpoint if it is the object of this uid."""
        body = {"preconditions": {"uid": uid}}
        await self._cluster.request("DELETE", _path(namespace, name), body=body)


def _path(namespace: str, name: str = "") -> str:
    base = f"/apis/{API_VERSION}/namespaces/{quote(namespace, safe='')}/dnsendpoints"
    return f"{base}/{quote(name, safe='')}" if name else base
