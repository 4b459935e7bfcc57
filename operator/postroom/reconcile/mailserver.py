# SPDX-License-Identifier: Apache-2.0
"""MailServer: follow the references, probe once, and say what the server answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Finding, Severity
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import MailServer
from postroom.api.status import ResolvedReference
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.reconcile import indexes, probing, references
from postroom.reconcile.assessment import Assessment, passed, worst_first
from postroom.reconcile.outcome import Memory
from postroom.reconcile.probing import SMTP
from postroom.reconcile.references import reference_to
from postroom.reconcile.world import World

#: How long a working server must be seen failing before its verdict flips.
CONFIRM_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to connect and with what, after all references were followed."""

    endpoint: Endpoint
    credentials: references.Credentials | None
    resolved: tuple[ResolvedReference, ...]


async def connection_of(spec: MailServerSpec, namespace: str, world: World) -> Connection | Verdict:
    """Follow the references of a server's spec."""
    resolved = []
    bundle = None
    if spec.tls.ca_bundle_ref is not None:
        found = await references.ca_bundle(
            world, namespace, spec.tls.ca_bundle_ref, "spec.tls.caBundleRef"
        )
        if isinstance(found, Verdict):
            return found
        bundle = found.value
        resolved.append(found.resolved)
    credentials = None
    if spec.credentials_ref is not None:
        secret = await references.credentials(
            world, namespace, spec.credentials_ref, "spec.credentialsRef", spec.host
        )
        if isinstance(secret, Verdict):
            return secret
        credentials = secret
        resolved.append(secret.resolved)
    endpoint = Endpoint(
        host=spec.host,
        port=spec.port,
        tls=spec.tls.mode,
        server_name=spec.tls.server_name or spec.host,
        ca_bundle=bundle,
        namespace=namespace,
    )
    return Connection(endpoint, credentials, tuple(resolved))


def references_of(spec: MailServerSpec) -> frozenset[str]:
    """The Secret and CA bundle that a server's spec names."""
    refs = set()
    if spec.credentials_ref is not None:
        refs.add(reference_to("Secret", spec.credentials_ref.name))
    if spec.tls.ca_bundle_ref is not None:
        refs.add(reference_to(spec.tls.ca_bundle_ref.kind, spec.tls.ca_bundle_ref.name))
    return frozenset(refs)


async def assess(
    resource: MailServer, world: World, memory: Memory, confirm_after: timedelta
) -> Assessment:
    """Look at a mail server."""
    spec, namespace, name = resource.spec, resource.metadata.namespace, resource.metadata.name
    defaults = await _defaults(spec, namespace, world)
    is_default = spec.default and len(defaults) == 1
    own_accounts = reference_to(Kind.EMAIL_ACCOUNT, indexes.by_server(name))
    refs = references_of(spec) | {own_accounts}
    if spec.default:
        refs |= {
            reference_to(Kind.EMAIL_ACCOUNT, indexes.by_server(None)),
            reference_to(Kind.MAIL_SERVER, indexes.DEFAULT),
        }
    usage: dict[str, object] = {
        "accounts": await _count_accounts(name, namespace, world, is_default=is_default),
        "is_default": is_default,
    }
    connection = await connection_of(spec, namespace, world)
    if isinstance(connection, Verdict):
        status = resource.status
        fields: dict[str, object] = {
            "server": status.server,
            "tls": status.tls,
            "last_probe": status.last_probe,
        }
        findings: tuple[Finding, ...] = ()
        verdicts: tuple[Verdict, ...] = (connection,)
    else:
        report = await _probe(resource, connection, world, memory)
        verdicts = _verdicts(spec, connection, report)
        findings = probing.findings_of(report, SMTP, world.now())
        fields = {
            "server": report.server or resource.status.server,
            "tls": report.tls or resource.status.tls,
            "last_probe": probing.facts_of(report),
            "resolved_refs": list(connection.resolved),
        }
    if spec.default and not is_default:
        findings += (_several_defaults(defaults),)
    return Assessment(
        verdicts=verdicts,
        ready_message=f"{spec.host}:{spec.port} answers"
        + (" and accepts the credentials." if spec.credentials_ref else "."),
        confirm_after=min(confirm_after, CONFIRM_AFTER),
        interval=spec.interval,
        deadline=spec.progress_deadline,
        fields={**fields, **usage, "findings": worst_first(findings)},
        references=refs,
    )


async def _probe(
    resource: MailServer, connection: Connection, world: World, memory: Memory
) -> ProbeReport:
    attempt = probing.Attempt(
        SMTP, connection.endpoint, connection.credentials, resource.metadata.requested_at
    )

    async def probe(login: Login | None) -> ProbeReport:
        return await world.mail.smtp(connection.endpoint, login)

    return await probing.probe_once(attempt, probe, memory, world.now())


def _verdicts(
    spec: MailServerSpec, connection: Connection, report: ProbeReport
) -> tuple[Verdict, ...]:
    found = probing.verdicts_of(
        report,
        SMTP,
        tls=probing.uses_tls(spec.tls.mode),
        auth=connection.credentials is not None,
    )
    if not connection.resolved:
        return found
    resolved = passed(
        ConditionType.REFERENCES_RESOLVED, Reason.RESOLVED, "Every referenced object was found."
    )
    return (resolved, *found)


async def _defaults(spec: MailServerSpec, namespace: str, world: World) -> list[str]:
    if not spec.default:
        return []
    found = await world.find(Kind.MAIL_SERVER, namespace, indexes.DEFAULT)
    return [one.metadata.name for one in found]


async def _count_accounts(name: str, namespace: str, world: World, *, is_default: bool) -> int:
    accounts = len(await world.find(Kind.EMAIL_ACCOUNT, namespace, indexes.by_server(name)))
    if is_default:
        accounts += len(await world.find(Kind.EMAIL_ACCOUNT, namespace, indexes.by_server(None)))
    return accounts


def _several_defaults(names: list[str]) -> Finding:
    return Finding(
        code=probing.code_of(Reason.AMBIGUOUS_DEFAULT),
        severity=Severity.WARNING,
        subject="default",
        message=f"{len(names)} MailServers claim to be the default: {', '.join(names[:5])}. "
        "Leave spec.default true on one of them; until then none is.",
    )
