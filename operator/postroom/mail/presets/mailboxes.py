# SPDX-License-Identifier: Apache-2.0
"""Which mailbox an address leads to and who signs in, however both are written.

What is counted for each of them must not be counted anew for every way to write it. Only what can
be told from the text is: that a name in DNS leads to the host of another is not looked up.
"""

import re
from datetime import date
from functools import cache, lru_cache
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from postroom.api.data_files import Row, read
from postroom.api.presets import Source, compiled
from postroom.mail.presets.identify import identify
from postroom.mail.presets.load import preset
from postroom.mail.presets.model import UsernameForm

#: Logins that were seen lately.
_REMEMBERED = 4096
#: A Service of the cluster, by its name in full.
_IN_FULL = re.compile(r"([^.]+\.[^.]+\.svc)\..+")


class MailboxService(Row):
    """Domains at which one service knows a mailbox, the first for all, and what it ignores."""

    domains: Annotated[tuple[str, ...], Field(min_length=1)]
    ignored: Annotated[str, StringConstraints(max_length=4)] = ""
    source: Source
    checked: date


class MailboxServices(Row):
    """The whole of ``mailboxes.yaml``: no domain twice."""

    services: tuple[MailboxService, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        domains = [domain for service in self.services for domain in service.domains]
        if len(set(domains)) < len(domains):
            raise ValueError("a domain is there twice")
        return self


def mailbox_of(address: str) -> str:
    """Return the mailbox behind an address: case folded, without a sub-address (RFC 5233)."""
    local, _, domain = address.lower().rpartition("@")
    local = local.partition("+")[0] or local
    if (service := _services().get(domain)) is not None:
        local = local.translate(dict.fromkeys(map(ord, service.ignored))) or local
        domain = service.domains[0]
    return f"{local}@{domain}"


@lru_cache(_REMEMBERED)
def login_of(username: str, host: str) -> tuple[str, str]:
    """Return who signs in and where: a mailbox, if the username is an address, and a provider, if
    the host is one's; all names of a provider's servers lead to the same accounts."""
    name = host.lower().removesuffix(".")
    if (service := _IN_FULL.fullmatch(name)) is not None:
        name = service[1]
    user = mailbox_of(username) if "@" in username else username.lower()
    return user, identify(name) or name


@lru_cache(_REMEMBERED)
def is_shared_username(username: str, host: str) -> bool:
    """Whether a provider has this one username for all of its customers, and tells them apart by
    the password."""
    provider = identify(host)
    if provider is None:
        return False
    rule = preset(provider).smtp_username
    if rule.form is not UsernameForm.FIXED:
        return False
    return username == rule.value or bool(
        rule.pattern and compiled(rule.pattern).fullmatch(username)
    )


@cache
def _services() -> dict[str, MailboxService]:
    """The services by their domains."""
    found = read("postroom.mail.presets", "mailboxes.yaml", MailboxServices).services
    return {domain: service for service in found for domain in service.domains}
