# SPDX-License-Identifier: Apache-2.0
"""The configuration of `postroom deliver`: what it has in common with the operator, and its own."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from postroom import given_settings, settings
from postroom.settings import Settings

if TYPE_CHECKING:
    from postroom.delivery.sinks import jetstream

#: The operator's settings that the worker has, too, under the same flags and variables.
SHARED = (
    "namespaces",
    "shard",
    "kubeconfig",
    "require_secret_consent",
    "watch_secrets",
    "dns_resolvers",
    "dns_authoritative_port",
    "allow_cidrs",
    "allow_ports",
    "allow_token_hosts",
    "probes_per_target",
    "status_writes_per_second",
    "status_write_burst",
    "sweep_interval",
    "leader_election",
    "leader_election_namespace",
    "health_address",
    "metrics_address",
    "metrics_tls_directory",
    "metrics_auth",
    "allow_http_hosts",
    "stuck_after",
    "shutdown_grace",
    "log_level",
    "log_format",
)
_MEBI = 1024 * 1024
_UNITS = {"Ki": 1024, "Mi": _MEBI, "Gi": 1024 * _MEBI}
_SIZE = re.compile(r"([1-9][0-9]{0,8})(Ki|Mi|Gi)")
_LEAST, _MOST = 4 * _MEBI, 64 * 1024 * _MEBI
_NATS_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def parse_size(value: object) -> int:
    """Parse a size such as 128Mi, in octets; raises `ValueError`."""
    if isinstance(value, int):
        return value
    found = _SIZE.fullmatch(str(value).strip())
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if not _LEAST <= size <= _MOST:
        raise ValueError("must be a size from 4Mi to 64Gi, such as 128Mi")
    return size


def parse_nats_url(value: object) -> str:
    """Parse where NATS is; raises `ValueError`. Credentials in it would be seen by whoever sees the
    command line."""
    text = str(value).strip()
    try:
        url = urlsplit(text)
        fits = url.scheme in ("tls", "nats") and url.hostname and url.port != 0
    except ValueError:
        fits = False
    if not fits or "@" in text or url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError(
            "must be a URL such as tls://nats.example:4222 or nats://nats.example:4222, without "
            "user and password"
        )
    return text


def parse_nats_name(value: object) -> str:
    """Parse the name of a stream or bucket; raises `ValueError`."""
    text = str(value)
    if not _NATS_NAME.fullmatch(text):
        raise ValueError("must be a name of letters, digits, - and _, 64 at most")
    return text


class DeliverSettings(BaseModel):
    """What can be set of the worker alone; `common` is what can be set of the operator, too."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    common: Settings = Field(default_factory=Settings)
    spool: Annotated[int, BeforeValidator(parse_size)] = Field(
        default=128 * _MEBI,
        description="Room for messages on their way; of one that does not fit the application is "
        "told without it.",
    )
    spool_dir: Path | None = Field(
        default=None,
        description="Where that room is; default: the system's directory for temporary files.",
    )
    sessions: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=256,
        description="Mailboxes that are open at a time; each takes some 0.32 MiB of memory. "
        "Where there are more accounts, those without news are read in turn, every sync.interval.",
    )
    sessions_per_namespace: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=64, description="Mailboxes of one namespace that are open at a time."
    )
    nats_url: Annotated[str, BeforeValidator(parse_nats_url)] | None = Field(
        default=None,
        description="NATS with JetStream, for accounts whose spec says jetStream: tls://host:4222, "
        "or nats://host:4222 without encryption.",
    )
    nats_stream: Annotated[str, BeforeValidator(parse_nats_name)] = Field(
        default="postroom", description="The stream; its subjects must have postroom.mail.>."
    )
    nats_object_store: Annotated[str, BeforeValidator(parse_nats_name)] | None = Field(
        default=None,
        description="The bucket for messages that are larger than NATS takes whole; without it the "
        "stream is told of these alone.",
    )
    nats_creds_file: Path | None = Field(
        default=None, description="File of credentials, as nsc writes them."
    )
    nats_ca_file: Path | None = Field(
        default=None,
        description="File of the authorities of its certificate, instead of the public ones.",
    )

    @property
    def nats(self) -> "jetstream.Server | None":
        """The server of streams, if there is one."""
        if self.nats_url is None:
            return None
        # What talks to the network takes its time to load.
        from postroom.delivery.sinks import jetstream

        return jetstream.Server(
            self.nats_url,
            self.nats_stream,
            self.nats_object_store or "",
            self.nats_creds_file,
            self.nats_ca_file,
        )


OWN = tuple(name for name in DeliverSettings.model_fields if name != "common")


def load(flags: Mapping[str, object], environment: Mapping[str, str]) -> DeliverSettings:
    """Build the settings, as `postroom.settings.load` does; raises `SettingsError`."""
    variables = {given_settings.PREFIX + name.upper() for name in SHARED}
    common = settings.load(
        {name: flags.get(name) for name in SHARED},
        {name: value for name, value in environment.items() if name in variables},
    )
    names = {name: settings.flag(name) for name in OWN}
    given, origin = given_settings.gathered(names, flags, environment)
    try:
        return DeliverSettings.model_validate({"common": common, **given})
    except ValidationError as error:
        raise given_settings.SettingsError.of(error, origin) from None


def require_nats(settings: DeliverSettings) -> None:
    """Raises `SettingsError` where NATS is asked for and cannot be spoken to."""
    if settings.nats_url is not None and find_spec("nats") is None:
        raise given_settings.SettingsError(
            "--nats-url: needs the package nats-py, which is not installed: pip install "
            "'postroom[nats]'"
        )
