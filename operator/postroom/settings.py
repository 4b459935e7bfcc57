# SPDX-License-Identifier: Apache-2.0
"""The operator's own configuration: flags, else environment (``POSTROOM_...``), else defaults."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from postroom import setting_values as values
from postroom.api.fields import parse_duration
from postroom.api.masked import Masked
from postroom.concurrency import shards
from postroom.dns.ownership import OwnershipRules
from postroom.given_settings import PREFIX as PREFIX
from postroom.given_settings import SettingsError as SettingsError
from postroom.given_settings import gathered
from postroom.log import LogFormat

# Whoever reads settings knows these from here.
Address = values.Address
Network = values.Network
parse_address, parse_network = values.parse_address, values.parse_network
parse_port, parse_resolver = values.parse_port, values.parse_resolver
parse_token_host, parse_test_recipient = values.parse_token_host, values.parse_test_recipient
#: The ownership key may also be read from a file, as a mounted Secret is.
KEY_FILE = "ownership_key_file"

_KEY_LEAST, _KEY_FILE_LIMIT = 16, 4096


def _split(value: object) -> object:
    """Lists come as lists from flags and as comma separated text from the environment."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _each(check: Any) -> BeforeValidator:
    """Split a list and put every entry through `check`, which raises `ValueError`."""

    def validate(value: object) -> object:
        parts = _split(value)
        return tuple(check(part) for part in parts) if isinstance(parts, tuple | list) else parts

    return BeforeValidator(validate)


def _masked(value: object) -> Masked:
    return value if isinstance(value, Masked) else Masked(str(value))


def _accepted_key(value: object) -> Masked:
    key = _masked(value)
    if not _KEY_LEAST <= len(key.reveal()) <= _KEY_FILE_LIMIT:
        raise ValueError(f"must be keys of {_KEY_LEAST} to {_KEY_FILE_LIMIT} characters")
    return key


def _at_least(shortest: str) -> AfterValidator:
    """Refuse a shorter duration."""
    least = parse_duration(shortest)

    def validate(value: timedelta) -> timedelta:
        if value < least:
            raise ValueError(f"must be {shortest} or more")
        return value

    return AfterValidator(validate)


_Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
_Rate = Annotated[float, Field(gt=0, le=10_000)]
_Count = Annotated[int, Field(ge=1, le=1024)]


class Settings(BaseModel):
    """Everything that can be set. Every field is also a flag and ``POSTROOM_<FIELD>``."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    namespaces: Annotated[tuple[str, ...], _each(values.parse_namespace), values.NAMESPACE] = Field(
        default=(), description="Namespaces to serve; empty: all of the cluster."
    )
    shard: Annotated[shards.Shard, BeforeValidator(shards.parse_shard)] = Field(
        default=shards.WHOLE,
        description="Serve one of several parts of all namespaces, such as 0/3, 1/3 and 2/3; what "
        "other servers bear is divided among them.",
    )
    kubeconfig: Path | None = Field(
        default=None,
        description="Kubeconfig to use; default: the service account of the Pod, else KUBECONFIG.",
    )
    dns_resolvers: Annotated[tuple[Address, ...], _each(parse_resolver), values.RESOLVER] = Field(
        default=(),
        description="Resolvers (address:port, or an https:// URL of DNS over HTTPS); "
        "empty: those of the system.",
    )
    dns_authoritative_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        default=53, description="Port at which authoritative servers are asked."
    )
    allow_cidrs: Annotated[tuple[Network, ...], _each(parse_network), values.NETWORK] = Field(
        default=(), description="Private networks in which mail and name servers may be dialled."
    )
    allow_ports: Annotated[tuple[int, ...], _each(parse_port)] = Field(
        default=(), description="Ports that may be dialled besides those of mail."
    )
    allow_token_hosts: Annotated[tuple[str, ...], _each(parse_token_host), values.TOKEN_HOST] = (
        Field(
            default=(),
            description="Hosts of OAuth token endpoints, besides those of Google and Microsoft, "
            "that credentials may be sent to; the first label may be *.",
        )
    )
    allow_token_rotation: bool = Field(
        default=False,
        description="Keep new refresh tokens in Secrets of the operator's own where a spec says "
        "rotation: WriteBack; needs create and patch on Secrets.",
    )
    allow_bindings: bool = Field(
        default=False,
        description="Write Secrets for applications where a spec has binding; needs create, patch "
        "and delete on Secrets.",
    )
    publish_dns_endpoints: bool = Field(
        default=False,
        description="Hand records to external-dns where a spec says publish; needs create, get, "
        "patch and delete on DNSEndpoints.",
    )
    allow_test_recipients: Annotated[
        tuple[str, ...], _each(parse_test_recipient), values.TEST_RECIPIENT
    ] = Field(
        default=(),
        description="Addresses (or @domain) that test messages may go to besides the account "
        "itself and its identities.",
    )
    ownership_key: Annotated[Masked, BeforeValidator(_masked)] = Field(
        default_factory=lambda: Masked(""),
        description="Key that derived ownership tokens are made with; keep it across "
        "re-installations, or domains must publish new tokens.",
    )
    earlier_ownership_keys: Annotated[tuple[Masked, ...], _each(_accepted_key)] = Field(
        default=(),
        description="Keys that made ownership tokens before and whose tokens are still accepted, "
        "while domains publish those of the present key.",
    )
    require_ownership_token: bool = Field(
        default=False,
        description="Verify no domain without its derived ownership token, whatever its spec "
        "requires or hands out.",
    )
    require_secret_consent: bool = Field(
        default=False,
        description="Send credentials only to hosts that the Secret's annotation "
        "postroom.dev/allowed-hosts names; without it, to none.",
    )
    regression_confirmation: _Duration = Field(
        default=timedelta(minutes=10),
        description="How long a verified domain must be seen failing before it counts.",
    )
    review_password_age: _Duration = Field(
        default=timedelta(days=365),
        description="How long a password may stay the same before a finding asks to look at it; "
        "0s: for ever.",
    )
    review_sync_gap: Annotated[_Duration, _at_least("1h")] = Field(
        default=timedelta(hours=24),
        description="How long a mailbox may go unread before a finding says so: 1h or more.",
    )
    review_backfill_days: Annotated[int, Field(ge=1, le=60)] = Field(
        default=14, description="How many days a look back may have before a finding asks for less."
    )
    # What waits for the network costs memory only.
    workers: _Count = Field(
        default=512,
        description="Objects that are evaluated at a time, shared evenly by namespaces.",
    )
    workers_per_namespace: _Count = Field(
        default=32, description="Objects of one namespace that are evaluated at a time."
    )
    probes_per_target: _Count = Field(
        default=3,
        description="Connections from one namespace to one mail host at a time; all namespaces "
        "together make at most four times as many.",
    )
    # For good, a rate is there for loops of writes that should not be: at rest a hundredth of it is
    # needed. What a healthy installation writes as it begins, one status for each object, is no
    # loop: the burst lets it pass as fast as the API server takes it (some 310 a second of one
    # process on two cores, more on faster ones). That nobody else waits for that is the business of
    # API priority and fairness, which sees 72 requests of a process at a time at most; what it
    # answers with 429 is sent again after the pause that it asks for.
    status_writes_per_second: _Rate = Field(
        default=300.0, description="Status writes per second on average."
    )
    status_write_burst: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=10_000, description="Status writes that may go ahead of the average."
    )
    sweep_interval: Annotated[_Duration, _at_least("1s")] = Field(
        default=timedelta(minutes=15),
        description="How often the watch is compared with a list of all objects: 1s or more.",
    )
    watch_secrets: bool = Field(
        default=False,
        description="Notice changes of Secrets and ConfigMaps labelled postroom.dev/watch=true "
        "at once; needs list and watch on them.",
    )
    leader_election: bool | None = Field(
        default=None,
        description="Stand by unless holding a Lease; default: yes in a Pod, no elsewhere. Without "
        "it never run two.",
    )
    leader_election_namespace: Annotated[
        str | None, BeforeValidator(values.parse_namespace), values.NAMESPACE
    ] = Field(default=None, description="Namespace of the Lease; default: that of the Pod.")
    health_address: Annotated[
        Address | None, BeforeValidator(values.parse_address_or_off), values.ADDRESS_OR_OFF
    ] = Field(
        # The kubelet and Prometheus ask from outside of the Pod.
        default=("0.0.0.0", 8080),  # noqa: S104
        description="Where /healthz, /readyz and /metrics are served (address:port), or off.",
    )
    metrics_address: Annotated[
        Address | None, BeforeValidator(values.parse_address_or_off), values.ADDRESS_OR_OFF
    ] = Field(
        default=None,
        description="Where /metrics is served instead of at the health address (address:port).",
    )
    metrics_tls_directory: Path | None = Field(
        default=None,
        description="Directory with tls.crt and tls.key, with which --metrics-address speaks TLS; "
        "read anew when they change.",
    )
    metrics_auth: bool = Field(
        default=False,
        description="Serve /metrics only to bearer tokens whose user may get /metrics; needs "
        "create on TokenReviews and SubjectAccessReviews.",
    )
    allow_http_hosts: Annotated[tuple[str, ...], _each(parse_token_host), values.TOKEN_HOST] = (
        Field(
            default=(),
            description="Names under which /ui, /metrics, /healthz and /readyz are shown without a "
            "token, besides addresses, names of one label and those of the cluster; the first "
            "label may be *.",
        )
    )
    ui: bool = Field(
        default=False, description="Serve a read-only page of all verdicts at /ui, beside /metrics."
    )
    ui_namespaces: Annotated[tuple[str, ...], _each(values.parse_namespace), values.NAMESPACE] = (
        Field(default=(), description="Namespaces that the page shows; empty: all that are served.")
    )
    ui_auth: bool = Field(
        default=False,
        description="Serve /ui only to bearer tokens whose user may get /ui, and /ui/NAMESPACE "
        "only where they may get that; needs create on TokenReviews and SubjectAccessReviews.",
    )
    stuck_after: Annotated[_Duration, _at_least("1s")] = Field(
        default=timedelta(minutes=10),
        description="How long one evaluation may run, or keys may wait while no evaluation begins "
        "or ends, before /healthz reports a stuck queue: 1s or more.",
    )
    shutdown_grace: _Duration = Field(
        default=timedelta(seconds=20), description="How long what is under way may take to end."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level of log lines."
    )
    log_format: LogFormat = Field(
        default=LogFormat.JSON, description="json for machines, text for people."
    )

    @property
    def ownership(self) -> OwnershipRules:
        """How control of domains is proven; `load` has seen to it that a key is there if needed."""
        keys = [self.ownership_key, *self.earlier_ownership_keys] if self.ownership_key else []
        return OwnershipRules(
            tuple(key.reveal().encode() for key in keys),
            token_required=self.require_ownership_token,
        )


def flag(name: str) -> str:
    """Return the command line flag for a field of `Settings`; one that is given once per value is
    named in the singular."""
    field = Settings.model_fields.get(name)
    word = name.removesuffix("s") if field is not None and field.default == () else name
    return "--" + word.replace("_", "-")


def load(flags: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """Build the settings; a flag that is None or an empty list counts as not given.

    Raises `SettingsError`, which never shows the value of the ownership key.
    """
    names = {name: flag(name) for name in (*Settings.model_fields, KEY_FILE)}
    given, origin = gathered(names, flags, environment)
    _read_keys(given, origin)
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError.of(error, origin) from None
    if settings.shard.of > 1 and settings.leader_election is False:
        switch = origin["leader_election"].replace("--", "--no-")
        raise SettingsError(
            f"{origin['shard']}: needs leader election, which {switch} switches off: by their "
            "Leases shards know that nobody else does their work"
        )
    for name in ("earlier_ownership_keys", "require_ownership_token"):
        if getattr(settings, name) and not settings.ownership_key:
            raise SettingsError(
                f"{origin.get(name, name)}: needs the present ownership key, too: set "
                f"{PREFIX}OWNERSHIP_KEY or {flag(KEY_FILE)}"
            )
    return settings


def _read_keys(given: dict[str, object], origin: dict[str, str]) -> None:
    """Replace the names of key files by the keys, unless the key itself is given.

    The first file holds the present key, those after it hold earlier ones.
    """
    files = _split(given.pop(KEY_FILE, None))
    if files is None or "ownership_key" in given:
        return
    several = files if isinstance(files, tuple | list) else [files]
    keys = []
    for file in several:
        try:
            text = Path(str(file)).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(
                f"{origin[KEY_FILE]}: the file cannot be read ({error.strerror})"
            ) from None
        except UnicodeDecodeError:
            raise SettingsError(f"{origin[KEY_FILE]}: the file is not UTF-8 text") from None
        if not _KEY_LEAST <= len(text) <= _KEY_FILE_LIMIT:
            bounds = f"{_KEY_LEAST} to {_KEY_FILE_LIMIT}"
            raise SettingsError(f"{origin[KEY_FILE]}: the key must have {bounds} characters")
        keys.append(Masked(text))
    first, *earlier = keys
    given["ownership_key"] = first
    if earlier and "earlier_ownership_keys" not in given:
        given["earlier_ownership_keys"] = earlier
        origin["earlier_ownership_keys"] = origin[KEY_FILE]
