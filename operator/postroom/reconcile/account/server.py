# SPDX-License-Identifier: Apache-2.0
"""Which MailServer an account sends through: the one that it names, or its namespace's default.

One of another namespace is used only while that lets it. Whether it exists otherwise is not told:
nobody learns by asking what others have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from postroom.api.conditions import (
    MESSAGE_LIMIT,
    ConditionStatus,
    ConditionType,
    Verdict,
    find,
    shorten,
)
from postroom.api.findings import Finding, Fix, FixAction, Severity
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource, EmailAccount, MailServer
from postroom.api.server_reference import ServerReference
from postroom.reconcile import defaults, indexes
from postroom.reconcile.signing_in.probing import code_of
from postroom.reconcile.signing_in.references import reference_to, unusable
from postroom.reconcile.status.assessment import failed, readiness
from postroom.reconcile.status.explained import telling
from postroom.reconcile.world import World


@dataclass(frozen=True, slots=True)
class ServerFound:
    """A server, or why there is none; and what was looked at to find it."""

    server: MailServer | None = None
    problem: Verdict | None = None
    references: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()


async def find_server(resource: EmailAccount, world: World) -> ServerFound:
    """Follow serverRef, or find the default MailServer of the namespace."""
    reference, namespace = resource.spec.server_ref, resource.metadata.namespace
    if reference is not None and reference.leads_out_of(namespace):
        return await _elsewhere(reference, resource, world)
    if reference is not None:
        refs = frozenset({reference_to(Kind.MAIL_SERVER, reference.name)})
        named = await world.get(Kind.MAIL_SERVER, namespace, reference.name)
        if named is not None:
            return ServerFound(cast("MailServer", named), references=refs)
        there = unusable(world, Kind.MAIL_SERVER, namespace, reference.name, "spec.serverRef")
        message = (
            f"MailServer {reference.name} (spec.serverRef) does not exist in this namespace: "
            "create it or correct the name."
        )
        absent = _missing(Reason.MAIL_SERVER_NOT_FOUND, message)
        return ServerFound(problem=there or absent, references=refs)
    ruined = indexes.unusable(indexes.DEFAULT)
    refs = frozenset(reference_to(Kind.MAIL_SERVER, each) for each in (indexes.DEFAULT, ruined))
    marked = await world.find(Kind.MAIL_SERVER, namespace, indexes.DEFAULT)
    default = cast("MailServer | None", defaults.newest(marked))
    if default is None:
        message = (
            "spec.serverRef is not set and no MailServer of this namespace has spec.default true: "
            "set one of them."
        )
        absent = _missing(Reason.NO_DEFAULT, message)
        for name in world.names_under(Kind.MAIL_SERVER, namespace, ruined):
            what = "the default of this namespace"
            there = unusable(world, Kind.MAIL_SERVER, namespace, name, what)
            absent = there.model_copy(update={"field": ""}) if there is not None else absent
        return ServerFound(problem=absent, references=refs)
    used = _used_meanwhile(resource, default, marked)
    if used is None:
        return ServerFound(default, references=refs)
    return ServerFound(used, references=refs, findings=(_waits(default, used),))


async def _elsewhere(
    reference: ServerReference, resource: EmailAccount, world: World
) -> ServerFound:
    """The server of another namespace, if that admits the account's and serves it."""
    place, mine = reference.namespace or "", resource.metadata.namespace
    refs = frozenset({reference_to(Kind.MAIL_SERVER, reference.name, place)})
    if not world.watches(place):
        message = (
            f"The operator does not watch namespace {place} (spec.serverRef.namespace), so that it "
            "sees no MailServer there: have its --namespace name it, too, or use a server of this "
            "namespace."
        )
        field = "spec.serverRef.namespace"
        unseen = _missing(Reason.NAMESPACE_NOT_WATCHED, message, field)
        return ServerFound(problem=unseen, references=refs)
    found = cast("MailServer | None", await world.get(Kind.MAIL_SERVER, place, reference.name))
    refused = Reason.MAIL_SERVER_NOT_PERMITTED
    if found is None or not found.spec.allowed_namespaces.admit(mine):
        message = (
            f"MailServer {reference.name} of namespace {place} (spec.serverRef) does not exist, or "
            "does not let accounts of this namespace use it: correct the name, or have the "
            "server's owner name this namespace in its spec.allowedNamespaces."
        )
        return ServerFound(problem=_missing(refused, message), references=refs)
    lent = found.spec.grant_for(resource.spec.address, mine, place)
    if found.spec.signs_in and not resource.spec.signs_in and lent is None:
        message = (
            f"{called(found, mine)} signs in with credentials that are for accounts of its own "
            "namespace: set spec.credentialsRef or spec.oauth."
        )
        return ServerFound(found, _missing(refused, message), refs)
    return ServerFound(found, references=refs)


def lender_to(resource: EmailAccount, server: MailServer | None) -> MailServer | None:
    """Return the server if its grant signs the account in; None: it does not."""
    if server is None or resource.spec.signs_in:
        return None
    mine, place = resource.metadata.namespace, server.metadata.namespace
    return server if server.spec.grant_for(resource.spec.address, mine, place) else None


def called(resource: AnyResource, namespace: str) -> str:
    """Name an object for whoever reads a status of a namespace."""
    metadata = resource.metadata
    elsewhere = "" if metadata.namespace == namespace else f" of namespace {metadata.namespace}"
    return f"{resource.kind.value} {metadata.name}{elsewhere}"


def not_ready(server: MailServer, namespace: str) -> Finding:
    """That a server is not ready, for whoever reads a status of a namespace, and what that is for
    in the server's own words; those of another namespace are for its own people alone."""
    name = called(server, namespace)
    message, summary, fix = f"{name} is not ready: read its status.", "", None
    ready = find(server.status.conditions, ConditionType.READY)
    if ready is not None and ready.message and server.metadata.namespace == namespace:
        begin = f"{name} is not ready. "
        room = MESSAGE_LIMIT - len(begin)
        message = f"{begin}{shorten(ready.message, room)}"
        found = telling(server.status)
        told = found.fix.instruction if found is not None and found.fix is not None else ""
        if found is not None and told:
            fix = Fix(action=FixAction.EXTERNAL, instruction=told)
            if found.summary and len(told) < room:
                # What is to be done is not what is cut off.
                summary = f"{begin}{shorten(found.summary, room - len(told) - 1)}"
                message = f"{summary} {told}"
    return Finding(
        code=code_of(Reason.MAIL_SERVER_NOT_READY),
        severity=Severity.ERROR,
        subject="server",
        message=message,
        summary=summary,
        fix=fix,
    )


def _missing(reason: Reason, message: str, field: str = "") -> Verdict:
    return failed(ConditionType.REFERENCES_RESOLVED, reason, message, field)


def _used_meanwhile(
    resource: EmailAccount, default: MailServer, marked: Sequence[AnyResource]
) -> MailServer | None:
    """Return the server with which an account stays while the default is not ready.

    It was used before, is still marked, and does not fail: moving a default by marking the
    new one first is no outage, however long the new one takes, and a broken one breaks nobody.
    """
    before = None if resource.status.server_namespace else resource.status.server_name
    if before == default.metadata.name or readiness(default) is ConditionStatus.TRUE:
        return None
    used = next((server for server in marked if server.metadata.name == before), None)
    return None if readiness(used) is ConditionStatus.FALSE else cast("MailServer | None", used)


def _waits(default: MailServer, used: MailServer) -> Finding:
    return Finding(
        code=code_of(Reason.MAIL_SERVER_NOT_READY),
        severity=Severity.WARNING,
        subject="default",
        message=f"MailServer {default.metadata.name} is the default of this namespace, but not "
        f"ready. The account goes on with {used.metadata.name}, which it used before and "
        "which is marked, too, until it is: read its status.",
    )
