# SPDX-License-Identifier: Apache-2.0
"""``postroom run``: the operator, in a cluster or against one."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from postroom import log
from postroom.cli import loading
from postroom.cli.options import say
from postroom.setting_values import shown
from postroom.settings import Settings, SettingsError, flag, load

_SERVED, _NETWORK, _LIMITS, _PROCESS = "What to serve", "Network", "Limits", "Process"


def described_option(field: str, info: FieldInfo, panel: str, *short: str) -> Any:
    """Return the flag for a field of settings, which also reads the environment and defaults."""
    default = "" if "default:" in str(info.description) else shown(info.default)
    return typer.Option(
        flag(field),
        *short,
        help=info.description,
        rich_help_panel=panel,
        show_default=default or False,
    )


def described_switch(field: str, info: FieldInfo, panel: str) -> Any:
    """Return the pair of flags for a boolean field."""
    name = flag(field).removeprefix("--")
    return typer.Option(
        f"--{name}/--no-{name}",
        help=info.description,
        rich_help_panel=panel,
        show_default=False,
    )


def _option(field: str, panel: str, *short: str) -> Any:
    return described_option(field, Settings.model_fields[field], panel, *short)


def _switch(field: str, panel: str) -> Any:
    return described_switch(field, Settings.model_fields[field], panel)


_KEY_FILE = typer.Option(
    flag("ownership_key_file"),
    help="File with the ownership key (or set POSTROOM_OWNERSHIP_KEY); given again: with an "
    "earlier key, whose tokens are still accepted.",
    rich_help_panel=_SERVED,
    show_default=False,
)

_Text = str | None
_Path = Path | None
_Many = list[str] | None
_Switch = bool | None


def run(
    namespaces: Annotated[_Many, _option("namespaces", _SERVED, "-n")] = None,
    shard: Annotated[_Text, _option("shard", _SERVED)] = None,
    kubeconfig: Annotated[_Path, _option("kubeconfig", _SERVED)] = None,
    ownership_key_file: Annotated[list[Path] | None, _KEY_FILE] = None,
    require_ownership_token: Annotated[_Switch, _switch("require_ownership_token", _SERVED)] = None,
    require_secret_consent: Annotated[_Switch, _switch("require_secret_consent", _SERVED)] = None,
    watch_secrets: Annotated[_Switch, _switch("watch_secrets", _SERVED)] = None,
    dns_resolvers: Annotated[_Many, _option("dns_resolvers", _NETWORK)] = None,
    dns_authoritative_port: Annotated[_Text, _option("dns_authoritative_port", _NETWORK)] = None,
    allow_cidrs: Annotated[_Many, _option("allow_cidrs", _NETWORK)] = None,
    allow_ports: Annotated[_Many, _option("allow_ports", _NETWORK)] = None,
    allow_test_recipients: Annotated[_Many, _option("allow_test_recipients", _NETWORK)] = None,
    allow_token_hosts: Annotated[_Many, _option("allow_token_hosts", _NETWORK)] = None,
    allow_token_rotation: Annotated[_Switch, _switch("allow_token_rotation", _SERVED)] = None,
    allow_bindings: Annotated[_Switch, _switch("allow_bindings", _SERVED)] = None,
    publish_dns_endpoints: Annotated[_Switch, _switch("publish_dns_endpoints", _SERVED)] = None,
    regression_confirmation: Annotated[_Text, _option("regression_confirmation", _LIMITS)] = None,
    review_password_age: Annotated[_Text, _option("review_password_age", _LIMITS)] = None,
    review_sync_gap: Annotated[_Text, _option("review_sync_gap", _LIMITS)] = None,
    review_backfill_days: Annotated[_Text, _option("review_backfill_days", _LIMITS)] = None,
    workers: Annotated[_Text, _option("workers", _LIMITS)] = None,
    workers_per_namespace: Annotated[_Text, _option("workers_per_namespace", _LIMITS)] = None,
    probes_per_target: Annotated[_Text, _option("probes_per_target", _LIMITS)] = None,
    status_writes_per_second: Annotated[_Text, _option("status_writes_per_second", _LIMITS)] = None,
    status_write_burst: Annotated[_Text, _option("status_write_burst", _LIMITS)] = None,
    sweep_interval: Annotated[_Text, _option("sweep_interval", _LIMITS)] = None,
    leader_election: Annotated[_Switch, _switch("leader_election", _PROCESS)] = None,
    leader_election_namespace: Annotated[
        _Text, _option("leader_election_namespace", _PROCESS)
    ] = None,
    health_address: Annotated[_Text, _option("health_address", _PROCESS)] = None,
    metrics_address: Annotated[_Text, _option("metrics_address", _PROCESS)] = None,
    metrics_tls_directory: Annotated[_Path, _option("metrics_tls_directory", _PROCESS)] = None,
    metrics_auth: Annotated[_Switch, _switch("metrics_auth", _PROCESS)] = None,
    allow_http_hosts: Annotated[_Many, _option("allow_http_hosts", _PROCESS)] = None,
    ui: Annotated[_Switch, _switch("ui", _PROCESS)] = None,
    ui_namespaces: Annotated[_Many, _option("ui_namespaces", _PROCESS)] = None,
    ui_auth: Annotated[_Switch, _switch("ui_auth", _PROCESS)] = None,
    stuck_after: Annotated[_Text, _option("stuck_after", _PROCESS)] = None,
    shutdown_grace: Annotated[_Text, _option("shutdown_grace", _PROCESS)] = None,
    log_level: Annotated[_Text, _option("log_level", _PROCESS)] = None,
    log_format: Annotated[_Text, _option("log_format", _PROCESS)] = None,
) -> None:
    """Run the operator: keep the status of every resource true.

    Every flag can also be set as POSTROOM_<FLAG> in the environment (lists separated by commas).
    """
    try:
        settings = load(dict(locals()), os.environ)
    except SettingsError as error:
        say(f"postroom run: {error}", errors=True)
        raise typer.Exit(2) from None
    # Loading kopf and the Kubernetes client takes half a second, which --help should not cost.
    with loading.for_good():
        from postroom.controller.run import run_process

    log.configure(settings.log_level, settings.log_format)
    raise typer.Exit(run_process(settings))
