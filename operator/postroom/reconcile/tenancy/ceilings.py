# SPDX-License-Identifier: Apache-2.0
"""What limits an account: itself, its server, and what its provider documents."""

from dataclasses import dataclass

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.mailserver import MailServerSpec
from postroom.api.send_limits import (
    NO_SERVER_LIMITS,
    UNLIMITED,
    LimitSource,
    SendLimits,
    ServerLimits,
)
from postroom.mail.presets import MailPreset, resolve
from postroom.mail.presets.sending import SendingLimit, SendingLimits, sending_limits

_NOTHING = SendingLimits("", None, None, None)


@dataclass(frozen=True, slots=True)
class Limited:
    """The limits of a day or of an hour, each None where there is none.

    `kind` is ``daily`` or ``hourly``. `provider` is the title of the one that `documented` is of.
    """

    kind: str
    own: int | None
    server: int | None
    documented: SendingLimit | None
    provider: str

    @property
    def firm(self) -> int | None:
        """The documented limit, where no plan raises it: of a plan postroom knows nothing."""
        if self.documented is None or self.documented.limit.raisable:
            return None
        return self.documented.messages

    @property
    def ceiling(self) -> int | None:
        """What the account's own limit may not exceed."""
        return min((each for each in (self.server, self.firm) if each is not None), default=None)

    @property
    def least(self) -> tuple[int | None, LimitSource | None]:
        """The limit that holds, and whose it is; among equals the account's own."""
        candidates = (
            (self.own, LimitSource.SEND_LIMITS),
            (self.server, LimitSource.MAIL_SERVER),
            (self.firm, LimitSource.PROVIDER),
        )
        held = [(number, source) for number, source in candidates if number is not None]
        return min(held, key=lambda each: each[0], default=(None, None))

    @property
    def documentation(self) -> str:
        """What the provider documents, and for whom, as the beginning of a sentence."""
        if self.documented is None:
            return ""
        unit = "a day" if self.kind == "daily" else "an hour"
        number, scope = self.documented.messages, self.documented.limit.scope
        return f"{self.provider} documents {number} {unit} for {scope}"


@dataclass(frozen=True, slots=True)
class Limits:
    """All that limits an account."""

    daily: Limited
    hourly: Limited
    connections: int | None


def limits_of(own: SendLimits, server: ServerLimits, provider: SendingLimits = _NOTHING) -> Limits:
    """Put the limits of account, server and provider side by side."""
    known = [each for each in (server.connections, provider.connections) if each is not None]
    return Limits(
        Limited("daily", own.daily, server.daily, provider.daily, provider.title),
        Limited("hourly", own.hourly, server.hourly, provider.hourly, provider.title),
        min(known, default=None),
    )


def limits_behind(spec: EmailAccountSpec, server: MailServerSpec | None) -> Limits:
    """The limits of an account; without a server those of its own provider's count."""
    of_server = (server.limits if server else None) or NO_SERVER_LIMITS
    return limits_of(spec.send_limits or UNLIMITED, of_server, documented(server or spec))


def documented(spec: MailServerSpec | EmailAccountSpec) -> SendingLimits:
    """What the provider of a server, or of an account without one, documents for one login."""
    if spec.provider is None:
        return _NOTHING
    found = resolve(spec.provider.value, spec.parameters, None)
    return sending_limits(found) if isinstance(found, MailPreset) else _NOTHING
