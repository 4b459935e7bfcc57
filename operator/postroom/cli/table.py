# SPDX-License-Identifier: Apache-2.0
"""What people see of statuses: a table per kind, then what is wrong and the fix to copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Kind
from postroom.api.resource import parse_status
from postroom.cli.account_details import account_lines, print_lines, server_lines
from postroom.cli.send_plan_details import send_plan_lines

Object = Mapping[str, Any]

_COLOURS = {"True": "green", "False": "red", "Unknown": "yellow"}
#: Columns of names, which may be long; the others hold a word or a number.
_LONG = frozenset({"NAMESPACE", "NAME", "DOMAIN", "HOST", "ADDRESS", "REASON", "SERVER"})
_ANY_WIDTH = 10_000
_STATE_COLOURS = {
    "Valid": "green",
    "Missing": "red",
    "Wrong": "red",
    "Conflicting": "red",
    "Propagating": "yellow",
    "Unknown": "yellow",
}


def show(
    console: Console, objects: Sequence[Object], *, details: bool = True, full: bool = False
) -> None:
    """Print objects (raw, with kind, metadata, spec, status): tables, then the details of those
    that are not Ready or have findings, with `full` of all."""
    for kind in Kind:
        mine = [resource for resource in objects if resource["kind"] == kind.value]
        if mine:
            console.print(_fitting(console, kind, mine))
    if details:
        for resource in objects:
            _show_details(console, resource, full=full)


def _condition(raw: Object, kind: str) -> Mapping[str, Any]:
    conditions = raw.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def _verdict(raw: Object, kind: str) -> Text:
    status = _condition(raw, kind).get("status", "")
    return Text(status or "-", style=_COLOURS.get(status, "dim"))


def _fitting(console: Console, kind: Kind, objects: Sequence[Object]) -> Table:
    """Make a table that fits: in a narrow terminal without a namespace that is the same in all
    rows, and with names that go on in the next line rather than being cut."""
    table = _table(kind, objects)
    spaces = {str(resource["metadata"].get("namespace", "")) for resource in objects}
    unbounded = console.options.update(max_width=_ANY_WIDTH)
    if console.measure(table, options=unbounded).maximum <= console.width:
        return table
    return _table(kind, objects, folded=True, namespace=len(spaces) > 1)


def _table(
    kind: Kind, objects: Sequence[Object], *, folded: bool = False, namespace: bool = True
) -> Table:
    title = kind.value
    if not namespace:
        title += f" in namespace {objects[0]['metadata'].get('namespace', '')}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    own = {
        Kind.SENDING_DOMAIN: ("DOMAIN", "OWNERSHIP", "DKIM", "SPF", "DMARC", "MX"),
        Kind.MAIL_SERVER: ("HOST", "TLS", "AUTH", "ACCOUNTS"),
        Kind.EMAIL_ACCOUNT: ("ADDRESS", "SERVER", "SMTP", "IMAP", "UNSEEN"),
    }[kind]
    names = ("NAMESPACE", "NAME", own[0], "READY", "REASON", *own[1:])
    for name in names if namespace else names[1:]:
        may_fold = folded and name in _LONG
        table.add_column(name, no_wrap=not may_fold, overflow="fold", min_width=len(name))
    for resource in objects:
        metadata, ready = resource["metadata"], _condition(resource, "Ready")
        cells = _cells(kind, resource)
        table.add_row(
            *([Text(str(metadata.get("namespace", "")))] if namespace else []),
            Text(str(metadata.get("name", ""))),
            cells[0],
            _verdict(resource, "Ready"),
            Text(str(ready.get("reason", "-"))),
            *cells[1:],
        )
    return table


def _cells(kind: Kind, raw: Object) -> list[Text]:
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    match kind:
        case Kind.SENDING_DOMAIN:
            types = (
                "OwnershipVerified",
                "DKIMVerified",
                "SPFVerified",
                "DMARCVerified",
                "MXVerified",
            )
            return [Text(str(spec.get("domain", ""))), *(_verdict(raw, each) for each in types)]
        case Kind.MAIL_SERVER:
            return [
                Text(str(status.get("endpoint") or _endpoint(spec))),
                _verdict(raw, "TLSVerified"),
                _verdict(raw, "SMTPAuthenticated"),
                Text(str(status.get("accounts", "-"))),
            ]
        case Kind.EMAIL_ACCOUNT:
            return [
                Text(str(spec.get("address", ""))),
                Text(str(status.get("serverName") or _own_server(spec))),
                _verdict(raw, "SMTPAuthenticated"),
                _verdict(raw, "IMAPAuthenticated"),
                Text(str((status.get("mailbox") or {}).get("unseen", "-"))),
            ]


def _endpoint(spec: Mapping[str, Any]) -> str:
    """What a MailServer names as host; before a look nobody knows what its provider fills in."""
    host, port = spec.get("host"), spec.get("port")
    if host and port is None and not spec.get("provider"):
        port = 587
    return f"{host}:{port}" if host and port else str(host or "-")


def _own_server(spec: Mapping[str, Any]) -> str:
    """The provider, where an account sends through the provider's own server."""
    provider = spec.get("provider")
    return str(provider) if provider and not spec.get("serverRef") else "-"


def _show_details(console: Console, raw: Object, *, full: bool) -> None:
    """What is wrong with an object, and how to mend it.

    Of one that is well nothing is said, or with `full` what else there is to know of an account.
    """
    is_account = raw["kind"] == Kind.EMAIL_ACCOUNT.value
    status = raw.get("status") or {}
    ready, findings = _condition(raw, "Ready"), status.get("findings", [])
    if ready.get("status") == "True" and not findings and not (full and is_account):
        return
    name = f"{raw['metadata'].get('namespace', '')}/{raw['metadata'].get('name', '')}"
    console.print()
    console.print(Text(f"{raw['kind']} {name}", style="bold"), end="")
    console.print(
        Text(f"  {ready.get('reason', '')}", style=_COLOURS.get(ready.get("status", ""), ""))
    )
    records = {each["id"]: each for each in status.get("records", [])}
    said: set[str] = set()
    for finding in findings:
        _show_finding(console, finding)
        said.add(finding["message"])
    message = ready.get("message", "")
    if ready.get("status") != "True" and not any(message in each for each in said):
        _line(console, f"  {message}")
    print_lines(console, server_lines(raw))
    if records and any(each["state"] != "Valid" for each in records.values()):
        _show_records(console, list(records.values()))
    if is_account:
        known = parse_status(Kind.EMAIL_ACCOUNT, raw.get("status"))
        if isinstance(known, EmailAccountStatus):
            print_lines(console, send_plan_lines(known, datetime.now(UTC)))
            print_lines(console, account_lines(known, said | {message}))


def _line(console: Console, text: str, style: str = "") -> None:
    """Print a line whole: a value that is to be copied must not be wrapped."""
    console.print(Text(text, style=style), soft_wrap=True)


def _show_finding(console: Console, finding: Mapping[str, Any]) -> None:
    colour = {"Error": "red", "Warning": "yellow"}.get(finding["severity"], "dim")
    because = ", ".join(finding.get("because", ()))
    _line(console, f"  {finding['severity']}: {finding['code']}", colour)
    _line(console, f"    {finding['message']}")
    if because:
        _line(console, f"    Also found: {because}", "dim")
    if finding.get("ask"):
        _line(console, f"    To see it: {finding['ask']}", "dim")
    fix = finding.get("fix")
    if fix:
        _show_fix(console, fix)


def _show_fix(console: Console, fix: Mapping[str, Any]) -> None:
    """Show a fix as what goes and what comes, each in a line of its own to copy from."""
    match fix["action"]:
        case "Wait":
            _line(console, "    Fix: wait.", "cyan")
            return
        case "External":
            _line(console, "    Fix: not in this zone; the sentence above says whose turn it is.")
            return
    _line(console, f"    Fix: {fix['action']}", "cyan")
    for gone in fix.get("remove", ()):
        _line(console, f"      - {gone['type']:5} {gone['name']}  {gone['value']}".rstrip(), "red")
    if fix["action"] == "Delete":
        return
    label = fix.get("hostLabel", "")
    at = f"   (name at the DNS host: {label})" if label not in ("", fix["name"]) else ""
    _line(console, f"      + {fix['type']:5} {fix['name']}{at}", "green")
    _line(console, f"        {fix['value']}", "green")
    if fix.get("presentation"):
        _line(console, f"        in a zone file: {fix['presentation']}", "dim")


def _show_records(console: Console, records: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("  RECORD", "STATE", "TYPE", "NAME"):
        table.add_column(name, no_wrap=True, header_style="dim")
    for record in records:
        state = record["state"]
        table.add_row(
            Text(f"  {record['id']}"),
            Text(state, style=_STATE_COLOURS.get(state, "")),
            Text(record["type"]),
            Text(record["name"]),
        )
    console.print(table)
