# SPDX-License-Identifier: Apache-2.0
"""``postroom deliver``: the worker that hands incoming mail to applications."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from postroom import deliver_settings, log
from postroom.cli import loading
from postroom.cli.options import say
from postroom.cli.run import described_option, described_switch
from postroom.settings import Settings, SettingsError

_SERVED, _NETWORK, _LIMITS, _PROCESS = "What to serve", "Network", "Limits", "Process"
_NATS = "NATS JetStream"
_Text = str | None
_Path = Path | None
_Many = list[str] | None
_Switch = bool | None


def _option(field: str, panel: str, *short: str) -> Any:
    own = deliver_settings.DeliverSettings.model_fields.get(field)
    return described_option(field, own or Settings.model_fields[field], panel, *short)


def _switch(field: str, panel: str) -> Any:
    return described_switch(field, Settings.model_fields[field], panel)


def deliver(
    namespaces: Annotated[_Many, _option("namespaces", _SERVED, "-n")] = None,
    shard: Annotated[_Text, _option("shard", _SERVED)] = None,
    kubeconfig: Annotated[_Path, _option("kubeconfig", _SERVED)] = None,
    require_secret_consent: Annotated[_Switch, _switch("require_secret_consent", _SERVED)] = None,
    watch_secrets: Annotated[_Switch, _switch("watch_secrets", _SERVED)] = None,
    dns_resolvers: Annotated[_Many, _option("dns_resolvers", _NETWORK)] = None,
    dns_authoritative_port: Annotated[_Text, _option("dns_authoritative_port", _NETWORK)] = None,
    allow_cidrs: Annotated[_Many, _option("allow_cidrs", _NETWORK)] = None,
    allow_ports: Annotated[_Many, _option("allow_ports", _NETWORK)] = None,
    allow_token_hosts: Annotated[_Many, _option("allow_token_hosts", _NETWORK)] = None,
    spool: Annotated[_Text, _option("spool", _LIMITS)] = None,
    spool_dir: Annotated[_Path, _option("spool_dir", _LIMITS)] = None,
    sessions: Annotated[_Text, _option("sessions", _LIMITS)] = None,
    sessions_per_namespace: Annotated[_Text, _option("sessions_per_namespace", _LIMITS)] = None,
    nats_url: Annotated[_Text, _option("nats_url", _NATS)] = None,
    nats_stream: Annotated[_Text, _option("nats_stream", _NATS)] = None,
    nats_object_store: Annotated[_Text, _option("nats_object_store", _NATS)] = None,
    nats_creds_file: Annotated[_Path, _option("nats_creds_file", _NATS)] = None,
    nats_ca_file: Annotated[_Path, _option("nats_ca_file", _NATS)] = None,
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
    stuck_after: Annotated[_Text, _option("stuck_after", _PROCESS)] = None,
    shutdown_grace: Annotated[_Text, _option("shutdown_grace", _PROCESS)] = None,
    log_level: Annotated[_Text, _option("log_level", _PROCESS)] = None,
    log_format: Annotated[_Text, _option("log_format", _PROCESS)] = None,
) -> None:
    """Hand incoming mail to the applications of spec.inbound.deliver, message by message.

    The mailbox is the queue: it is never changed, and how far it was handed over is in status.
    Every flag can also be set as POSTROOM_<FLAG> in the environment (lists separated by commas).
    """
    try:
        settings = deliver_settings.load(dict(locals()), os.environ)
        deliver_settings.require_nats(settings)
    except SettingsError as error:
        say(f"postroom deliver: {error}", errors=True)
        raise typer.Exit(2) from None
    # Loading kopf and the Kubernetes client takes half a second, which --help should not cost.
    with loading.for_good():
        from postroom.controller.inbound.process import run_process

    log.configure(settings.common.log_level, settings.common.log_format)
    raise typer.Exit(run_process(settings))
