# SPDX-License-Identifier: Apache-2.0
"""MailServer: follow the references, probe once, and say what the server answered."""

from datetime import timedelta

from postroom.api.names import Kind
from postroom.api.resource import MailServer
from postroom.reconcile import defaults
from postroom.reconcile.indexes import DEFAULT
from postroom.reconcile.signing_in import credential_ages, refresh_tokens
from postroom.reconcile.signing_in.probing import CONFIRM_AFTER
from postroom.reconcile.signing_in.protocol_check import (
    LEFT_OUT,
    prepare_server,
    server_references,
)
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.signing_in.targets import smtp_target
from postroom.reconcile.status.assessment import EVERY_REFERENCE_FOUND, Assessment, worst_first
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.tenancy import overcommitment
from postroom.reconcile.world import World


async def assess(
    resource: MailServer, world: World, memory: Memory, confirm_after: timedelta
) -> Assessment:
    """The assessment of a mail server; raises `InvalidSpec` for what its provider forbids."""
    spec, status, namespace = resource.spec, resource.status, resource.metadata.namespace
    target = smtp_target(spec)
    check = await (await prepare_server(resource, world)).probed(world, memory)
    limited = overcommitment.is_limited(spec)
    # Of a thousand accounts nobody reads the specs for nothing.
    accounts = await defaults.accounts_behind(resource, world) if limited else []
    fields: dict[str, object] = {
        "server": status.server,
        "tls": status.tls,
        "last_probe": status.last_probe,
        "endpoint": f"{target.host}:{target.port}",
    }
    verdicts = (check.problem,) if check.problem else check.verdicts
    if check.problem is None:
        fields["resolved_refs"] = list(check.told(resource))
        verdicts = (EVERY_REFERENCE_FOUND, *verdicts) if check.resolved else verdicts
    if (report := check.report) is not None:
        # What was said to other credentials was not looked at for what is secret of these.
        same = status.resolved_refs == list(check.resolved)
        fields["server"] = report.server or status.server
        fields["tls"] = report.tls or status.tls
        fields["last_probe"] = check.facts(status.last_probe if same else None)
    marks = {reference_to(Kind.MAIL_SERVER, DEFAULT)} if spec.default else set[str]()
    findings = check.findings(world.now()) + check.precheck_findings
    tokens = world.outbound.tokens
    findings += refresh_tokens.findings_of(tokens, check.credentials, world.now())
    fields["credentials"] = credential_ages.ages_of(tokens, [check.credentials], status.credentials)
    findings += tuple(overcommitment.findings_of(spec, accounts, namespace))
    return Assessment(
        verdicts=verdicts,
        ready_message=f"{target.host}:{target.port} answers"
        + (" and accepts the credentials." if check.credentials else ".")
        + (LEFT_OUT if spec.signs_in and not world.outbound.signs_in else ""),
        confirm_after=min(confirm_after, CONFIRM_AFTER),
        interval=spec.interval,
        deadline=spec.progress_deadline,
        fields={**fields, "findings": worst_first(findings)},
        references=server_references(spec) | marks,
        evidence=check.evidence,
    )
