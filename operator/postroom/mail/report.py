# SPDX-License-Identifier: Apache-2.0
"""What a probe is asked to do and what it yields: values that a reconciler turns into status."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from postroom.api.conditions import MESSAGE_LIMIT, shorten
from postroom.api.finding_texts import in_full
from postroom.api.mailserver import ProbeStage, ServerFacts, TLSFacts, TLSMode
from postroom.api.masked import Masked
from postroom.api.reasons import Reason


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials for one AUTH attempt; `token`: the password is an OAuth access token.

    `trimmed` are the keys of the Secret whose value ended in a line end, which is left out.
    `secret` is the name of the Secret behind it, for the audit; it makes no other login.
    """

    username: str
    password: Masked
    token: bool = False
    trimmed: tuple[str, ...] = ()
    secret: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect and whom to trust.

    `ca_bundle` is a PEM text; None means the public authorities. `server_name` is the name to
    verify in the certificate and to send as SNI. `namespace` is the tenant that it is dialled for:
    only its own Services may be dialled at private addresses, or those of `services_of`, the tenant
    that has named the host. With `may_select` a mailbox may be opened by SELECT where the server
    knows no EXAMINE.
    """

    host: str
    port: int
    tls: TLSMode
    server_name: str
    ca_bundle: str | None
    namespace: str
    may_select: bool = False
    services_of: str | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """What is used of what there is, in the unit of its resource (RFC 9208 section 5)."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Counts of a mailbox (RFC 9051 section 6.3.11), and what else the server tells of it.

    `newest_at` is when its last message arrived, aware. `octets` and `message_quota` are the quota
    of RFC 9208, `append_limit` is the largest message in octets (RFC 7889). `special` are the
    mailboxes of a special use (RFC 6154) by use, such as ``Junk``. `size` is what its messages hold
    in octets (RFC 8438). The names of the user's own mailboxes begin with `prefix` and have levels
    between `delimiter` (RFC 2342). `selected` tells that it was not opened read-only.
    """

    name: str
    messages: int
    unseen: int | None
    uid_next: int | None
    uid_validity: int | None
    newest_at: datetime | None = None
    octets: Quota | None = None
    message_quota: Quota | None = None
    append_limit: int | None = None
    special: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    prefix: str | None = None
    delimiter: str | None = None
    selected: bool = False


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """How far one probe came.

    `stage` is the stage that failed, or DONE; `reason` is PROBE_SUCCEEDED when DONE, else the
    cause in catalogue terms; `wrong` is one deterministic sentence, or ends with a colon where
    `fix`, what to do about it, goes on: no server text, times, ports of ours or ids in them.
    `conclusive` is False for passing causes (4xx, broken off), which must not turn a verified thing
    False. `authenticated` is None when no AUTH was asked for or reached, else whether it was
    accepted. `retry_after` is how long to wait at least,
    where the server or its provider says so; `cause` is the precise cause, as in
    `postroom.mail.replies.Cause`, where one is known. `server_text` is what the server said when it
    refused, or its alerts, as `postroom.mail.replies.normalised` writes it: for `lastProbe` alone,
    in no repr.
    `refusals` is how often these credentials were refused when nobody had asked for the check, as
    far as a refusal of them stands. `after` is what becomes of it by itself.
    With `needs_someone` it is no verdict by the server's code, but passes only if someone acts.
    `unclear` is a refusal by its code alone, beside words that may tell of what passes.
    """

    stage: ProbeStage
    reason: Reason
    wrong: str
    conclusive: bool
    authenticated: bool | None = None
    code: int | None = None
    enhanced_code: str | None = None
    server: ServerFacts | None = None
    tls: TLSFacts | None = None
    mailbox: Mailbox | None = None
    retry_after: timedelta | None = None
    cause: str | None = None
    server_text: str | None = field(default=None, repr=False)
    refusals: int | None = None
    fix: str = ""
    after: str = ""
    needs_someone: bool = False
    unclear: bool = False

    @property
    def message(self) -> str:
        """All that is to be said, in one text; of too long a one the end is kept."""
        said = in_full(self.wrong, self.fix)
        if not self.after:
            return said
        return f"{shorten(said, MESSAGE_LIMIT - len(self.after) - 1)} {self.after}"
