# SPDX-License-Identifier: Apache-2.0
"""MailServer: follow the references, probe once, and say what the server answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Finding, Severity
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount, MailServer
from postroom.mail.report import Login, ProbeReport
from postroom.reconcile import indexes
from postroom.reconcile.signing_in import (
    prechecks,
    probing,
    refresh_tokens,
    retrying,
    token_credentials,
)
from postroom.reconcile.signing_in.connection import (
    Connection,
    Identity,
    connection_of,
    server_references,
)
from postroom.reconcile.signing_in.probing import CONFIRM_AFTER, SMTP
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.signing_in.targets import smtp_target
from postroom.reconcile.status.assessment import Assessment, passed, worst_first
from postroom.reconcile.status.outcome import Memory, Rejection
from postroom.reconcile.world import World


async def assess(
    resource: MailServer, world: World, memory: Memory, confirm_after: timedelta
) -> Assessment:
    """Look at a mail server; raises `InvalidSpec` for what its provider does not allow."""
    spec, namespace = resource.spec, resource.metadata.namespace
    target = smtp_target(spec)
    defaults = await _defaults(spec, namespace, world)
    is_default = spec.default and len(defaults) == 1
    identity = Identity(
        spec.credentials_ref, spec.oauth, owner=token_credentials.owner_of(resource)
    )
    connection = await connection_of(target, identity, namespace, world)
    seen = await _look(resource, connection, world, memory)
    findings = seen.findings
    if isinstance(connection, Connection):
        findings += refresh_tokens.findings_of(world.tokens, connection.credentials, world.now())
    if spec.default and not is_default:
        findings += (_several_defaults(defaults),)
    name = resource.metadata.name
    return Assessment(
        verdicts=seen.verdicts,
        ready_message=f"{target.host}:{target.port} answers"
        + (" and accepts the credentials." if spec.signs_in else "."),
        confirm_after=min(confirm_after, CONFIRM_AFTER),
        interval=spec.interval,
        deadline=spec.progress_deadline,
        fields={
            **seen.fields,
            "endpoint": f"{target.host}:{target.port}",
            "accounts": await _count_accounts(name, namespace, world, is_default=is_default),
            "is_default": is_default,
            "findings": worst_first(findings),
        },
        references=server_references(spec) | _dependants(spec, name),
    )


def _dependants(spec: MailServerSpec, name: str) -> frozenset[str]:
    """The indexes whose changes matter to a server: who uses it, and who else is a default."""
    refs = {reference_to(Kind.EMAIL_ACCOUNT, indexes.by_server(name))}
    if spec.default:
        refs |= {
            reference_to(Kind.EMAIL_ACCOUNT, indexes.by_server(None)),
            reference_to(Kind.MAIL_SERVER, indexes.DEFAULT),
        }
    return frozenset(refs)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look found, or why there was none."""

    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]
    fields: dict[str, object]


async def _look(
    resource: MailServer, connection: Connection | Verdict, world: World, memory: Memory
) -> _Seen:
    status = resource.status
    kept: dict[str, object] = {
        "server": status.server,
        "tls": status.tls,
        "last_probe": status.last_probe,
    }
    if isinstance(connection, Verdict):
        return _Seen((connection,), (), kept)
    resolved: dict[str, object] = {"resolved_refs": list(connection.resolved)}
    tls = probing.uses_tls(connection.endpoint.tls)
    auth = connection.credentials is not None
    attempt = probing.Attempt(
        SMTP,
        connection.endpoint,
        connection.credentials,
        resource.metadata.requested_at,
        provider=connection.provider,
        stored=_stored(resource, connection.credentials, world),
    )
    checked = prechecks.check(attempt)
    warnings = prechecks.findings_of(checked, SMTP)
    if checked.blocking is not None:
        verdicts = prechecks.verdicts_of(checked.blocking, SMTP, tls=tls, auth=auth)
        return _Seen(_resolved_first(connection, verdicts), warnings, {**kept, **resolved})
    report = await _probe(attempt, world, memory)
    verdicts = probing.verdicts_of(report, SMTP, tls=tls, auth=auth)
    # What was said to other credentials was not looked at for what is secret of these.
    told = status.last_probe if status.resolved_refs == resolved["resolved_refs"] else None
    return _Seen(
        _resolved_first(connection, verdicts),
        probing.findings_of(report, SMTP, world.now()) + warnings,
        {
            **resolved,
            "server": report.server or status.server,
            "tls": report.tls or status.tls,
            "last_probe": probing.facts_of(report, told),
        },
    )


def _stored(
    resource: MailServer, credentials: probing.AnyCredentials | None, world: World
) -> Rejection | None:
    """What the status tells of a refusal of these credentials."""
    if credentials is None:
        return None
    return retrying.restored(
        resource,
        SMTP.authenticated,
        resource.status.last_probe,
        credentials.resolved,
        world.now(),
    )


async def _probe(attempt: probing.Attempt, world: World, memory: Memory) -> ProbeReport:
    async def probe(login: Login | None) -> ProbeReport:
        return await world.mail.smtp(attempt.endpoint, login)

    return await probing.probe_once(attempt, probe, memory, world)


def _resolved_first(connection: Connection, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    if not connection.resolved:
        return verdicts
    resolved = passed(
        ConditionType.REFERENCES_RESOLVED, Reason.RESOLVED, "Every referenced object was found."
    )
    return (resolved, *verdicts)


async def _defaults(spec: MailServerSpec, namespace: str, world: World) -> list[str]:
    if not spec.default:
        return []
    found = await world.find(Kind.MAIL_SERVER, namespace, indexes.DEFAULT)
    return [one.metadata.name for one in found]


async def _count_accounts(name: str, namespace: str, world: World, *, is_default: bool) -> int:
    accounts = len(await world.find(Kind.EMAIL_ACCOUNT, namespace, indexes.by_server(name)))
    if is_default:
        without = await world.find(Kind.EMAIL_ACCOUNT, namespace, indexes.by_server(None))
        accounts += sum(not cast("EmailAccount", one).spec.at_provider for one in without)
    return accounts


def _several_defaults(names: list[str]) -> Finding:
    return Finding(
        code=probing.code_of(Reason.AMBIGUOUS_DEFAULT),
        severity=Severity.WARNING,
        subject="default",
        message=f"{len(names)} MailServers claim to be the default: {', '.join(names[:5])}. "
        "Leave spec.default true on one of them; until then none is.",
    )
