# SPDX-License-Identifier: Apache-2.0
"""Under which names a server of ours is asked for what it shows without a token.

A page of a stranger, whose name leads to our address for a moment (DNS rebinding), has the browser
of whoever opens it read what that browser reaches, as if it were its own: with the stranger's name
in ``Host`` (RFC 9110 section 7.2). So only names are answered that no stranger can give: addresses,
names of one label, those of the cluster, and what an administrator lists.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from postroom.mail.credentials import host_allowed

#: Domains below which nobody can have a name but the machine itself (RFC 6761 section 6.3), or the
#: cluster: these are its usual ones.
_LOCAL, _CLUSTER = ("localhost",), ("svc", "svc.cluster.local", "pod.cluster.local")
#: The labels of top-level domains have letters alone, but for those of other scripts (RFC 1123
#: section 2.1, RFC 5890 section 2.3.2.1): a namespace of such a name may be one.
_TOP_LEVEL = re.compile(r"[a-z]+|xn--.*")
_PORT = re.compile(r":[0-9]*$")
_REFUSAL = "nothing is shown under this name; an administrator may list it (--allow-http-host)"


class ServedNames:
    """The names that are answered; `listed` are those of the administrator, `namespace` that of
    our Pod, if we are in one, `search` the domains in which its resolver looks names up."""

    def __init__(
        self, listed: Sequence[str] = (), namespace: str | None = None, search: Iterable[str] = ()
    ) -> None:
        self._listed = listed
        cluster = [domain.removeprefix("svc.") for domain in search if domain.startswith("svc.")]
        below = [*_LOCAL, *_CLUSTER]
        below += [f"{part}.{domain}" for domain in cluster for part in ("svc", "pod")]
        if namespace is not None and not _TOP_LEVEL.fullmatch(namespace):
            below.append(namespace)
        self._endings = tuple(f".{domain}" for domain in below)

    def has(self, authority: str) -> bool:
        """Whether that is answered: a host, and a port, which does not matter."""
        host = _PORT.sub("", authority.strip()).lower().removesuffix(".")
        if is_address(host) or (host and "." not in host):
            return True
        return host.endswith(self._endings) or host_allowed(host, self._listed)

    def guard(self, ask_tokens: Collection[str]) -> Middleware:
        """Answer nothing else but what is below the paths that `ask_tokens`: a stranger has none.

        Who names no host is no browser.
        """

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            resource = request.match_info.route.resource
            first = resource.canonical.split("/")[1] if resource is not None else ""
            if f"/{first}" in ask_tokens or all(map(self.has, request.headers.getall("Host", ()))):
                return await handler(request)
            return web.Response(status=421, text=_REFUSAL)

        return guard


def is_address(host: str) -> bool:
    """Whether a host is an address of IPv4, or one of IPv6 in brackets (RFC 3986 section 3.2.2)."""
    literal = host.removeprefix("[").removesuffix("]")
    try:
        return ip_address(literal).version == (6 if host == f"[{literal}]" else 4)
    except ValueError:
        return False


def search_domains(file: Path = Path("/etc/resolv.conf")) -> tuple[str, ...]:
    """The domains in which the system looks names up, as the kubelet writes them for a Pod."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").lower().splitlines()
    except OSError:
        return ()
    found = [line.split()[1:] for line in lines if line.split()[:1] == ["search"]]
    # The last of several counts (resolv.conf(5)).
    return tuple(domain.removesuffix(".") for domain in found[-1]) if found else ()
