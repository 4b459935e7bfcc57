# SPDX-License-Identifier: Apache-2.0
"""Names of Services in a cluster: in full they end with the cluster's domain, which is
``cluster.local`` unless whoever made the cluster chose another one.

https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""

import re
from collections.abc import Iterable, Sequence

#: The domain of most clusters. It is nobody's in public DNS (RFC 6762 section 3).
USUAL_DOMAIN = "cluster.local"
_SHORT = re.compile(r"[^.]+\.[^.]+\.svc")


def cluster_domains(search: Iterable[str]) -> tuple[str, ...]:
    """The domains that Services are below, that of our cluster first.

    The kubelet writes ``svc.<domain>`` among the domains in which a Pod's resolver looks names up.
    """
    found = [domain[4:] for domain in search if domain.startswith("svc.") and len(domain) > 4]
    return tuple(dict.fromkeys([*found, USUAL_DOMAIN]))


def in_full(host: str, domains: Sequence[str]) -> str | None:
    """The name of a Service with the domain of our cluster; None for what is none in short.

    DNS is asked for just what one asks it for, and the short one is the name of nothing.
    """
    name = host.lower().rstrip(".")
    return f"{name}.{domains[0]}" if _SHORT.fullmatch(name) else None


def in_short(host: str, domains: Sequence[str]) -> str:
    """A host without the cluster's domain, where it is the name of a Service in full."""
    name = host.lower().rstrip(".")
    endings = [f".svc.{domain}" for domain in domains if name.endswith(f".svc.{domain}")]
    return name[: 4 - len(endings[0])] if endings else name


def is_own_service(host: str, namespace: str, domains: Sequence[str]) -> bool:
    """Whether a host is a Service of the tenant's own namespace."""
    return in_short(host, domains).split(".")[1:] == [namespace, "svc"]
