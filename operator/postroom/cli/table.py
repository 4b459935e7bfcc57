# SPDX-License-Identifier: Apache-2.0
"""What people see of statuses: a table per kind, then what is wrong and the fix to copy."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from postroom.api.conditions import ConditionStatus, ConditionType
from postroom.api.emailaccount import Connection
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.finding_texts import KEEPS_LOOKING, VALUE_APART, in_full
from postroom.api.findings import FixAction, Severity
from postroom.api.launch import LaunchState
from postroom.api.names import Kind
from postroom.api.resource import parse_status
from postroom.api.sendingdomain_status import Verification
from postroom.api.times import parse_timestamp
from postroom.cli import account_details, domain_details
from postroom.cli.columns import Columns, mark
from postroom.log import on_one_line
from postroom.report import untrusted

Object = Mapping[str, Any]

_COLOURS = {
    ConditionStatus.TRUE: "green",
    ConditionStatus.FALSE: "red",
    ConditionStatus.UNKNOWN: "yellow",
}
#: Fixes that are told as a sentence; and the one that says no more than to wait.
_TOLD = frozenset({FixAction.EXTERNAL, FixAction.WAIT})
_IN_WORDS: dict[str | None, str] = {
    ConditionStatus.TRUE: "Ready",
    ConditionStatus.FALSE: "not Ready",
    ConditionStatus.UNKNOWN: "unknown",
}
_SEVERITY_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}
_VERDICT_COLOURS: dict[str, str] = {
    Verification.VERIFIED: "green",
    Verification.DEGRADED: "yellow",
    Verification.FAILED: "red",
}
_COLUMNS = {
    Kind.SENDING_DOMAIN: ("DOMAIN", "VERIFIED", "OWNERSHIP", "DKIM", "SPF", "DMARC", "MX"),
    Kind.MAIL_SERVER: ("HOST", "TLS", "AUTH", "ACCOUNTS", "DEFAULT"),
    Kind.EMAIL_ACCOUNT: ("ADDRESS", "SERVER", "SMTP", "IMAP", "UNSEEN", "DEFAULT", "CONNECTION"),
}
#: Where a sentence ends, not within a name, a version or an address; and where a clause does, not
#: before a tag of a record's value.
_SENTENCE_END = re.compile(r"(?<=\.)\s+")
_CLAUSE_END = re.compile(r"(?<=;)\s+(?![\w-]+\s*=)")


def show(
    console: Console,
    objects: Sequence[Object],
    *,
    details: bool = True,
    full: bool = False,
    wide: bool = False,
) -> None:
    """Print objects (raw, with kind, metadata, spec, status): tables, `wide` ones with ages, then
    the details of those that are not Ready or have findings, with `full` of all."""
    for kind in Kind:
        mine = [resource for resource in objects if resource["kind"] == kind.value]
        if mine:
            _show_table(console, kind, mine, wide=wide)
    if details:
        for resource in objects:
            _show_details(console, resource, full=full)
        if objects:
            console.print()
            _line(console, summary(objects), "bold")


def summary(objects: Sequence[Object]) -> str:
    """How many there are, and how they are, in a line."""
    counts: Counter[str] = Counter()
    for resource in objects:
        suspended = _condition(resource, ConditionType.SUSPENDED).get("status")
        ready = _condition(resource, ConditionType.READY).get("status")
        if suspended == ConditionStatus.TRUE:
            counts["suspended"] += 1
        else:
            counts[_IN_WORDS.get(ready, "not looked at yet")] += 1
    order = (*_IN_WORDS.values(), "not looked at yet", "suspended")
    parts = ", ".join(f"{counts[word]} {word}" for word in order if counts[word])
    return f"{len(objects)} object{'s' * (len(objects) != 1)}{': ' * bool(parts)}{parts}."


def _condition(raw: Object, wanted: ConditionType) -> Mapping[str, Any]:
    """A condition as it is stored: of a status that is newer than this program, it is readable."""
    conditions = (raw.get("status") or {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == wanted), {})


def _verdict(ready: Mapping[str, Any]) -> Text:
    status = ready.get("status", "")
    return Text(status or "-", style=_COLOURS.get(status, "dim"))


def _show_table(console: Console, kind: Kind, objects: Sequence[Object], *, wide: bool) -> None:
    """A namespace that is the same in all rows stands in the title, and takes no column."""
    spaces = [str(resource["metadata"].get("namespace", "")) for resource in objects]
    own, *others = _COLUMNS[kind]
    names = ("NAMESPACE", "NAME", own, "READY", "REASON", *others)
    rows = []
    for space, resource in zip(spaces, objects, strict=True):
        first, *more = _cells(console, kind, resource)
        ready = _condition(resource, ConditionType.READY)
        rows.append(
            (
                Text(space),
                Text(str(resource["metadata"].get("name", ""))),
                first,
                _verdict(ready),
                Text(str(ready.get("reason", "-"))),
                *more,
            )
        )
    cells = {
        # What a file says need not be a name, and a line of its own may be a command of CI.
        name: [Text(on_one_line(cell.plain), style=cell.style) for cell in column]
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    if wide:
        cells |= _ages(objects)
    title = kind.value
    if len(set(spaces)) == 1:
        del cells["NAMESPACE"]
        title += f" in namespace {spaces[0]}" if spaces[0] else ""
    console.print(Text(title, style="bold"), soft_wrap=True)
    Columns(cells).print(console, whole=wide)


def _ages(objects: Sequence[Object]) -> dict[str, list[Text]]:
    """How long ago each was looked at, what it says has been so, and it was made."""
    now = datetime.now(UTC)
    moments = {
        "CHECKED": [(each.get("status") or {}).get("lastCheckTime") for each in objects],
        "SINCE": [
            _condition(each, ConditionType.READY).get("lastTransitionTime") for each in objects
        ],
        "AGE": [each["metadata"].get("creationTimestamp") for each in objects],
    }
    return {name: [Text(_ago(stamp, now)) for stamp in stamps] for name, stamps in moments.items()}


def _ago(stamp: object, now: datetime) -> str:
    """How long ago a time was, in its largest unit, as kubectl says it."""
    try:
        seconds = int((now - parse_timestamp(str(stamp))).total_seconds())
    except ValueError:
        return "-"
    sizes = {"d": 86_400, "h": 3_600, "m": 60}
    unit = next((each for each, size in sizes.items() if seconds >= 2 * size), "s")
    return f"{max(0, seconds) // sizes.get(unit, 1)}{unit}"


def _cells(console: Console, kind: Kind, raw: Object) -> list[Text]:
    """What a row shows of an object of this kind besides its name and verdict."""
    spec, status = untrusted.mapping(raw.get("spec")), raw.get("status") or {}

    def checked(wanted: ConditionType) -> Text:
        return mark(_condition(raw, wanted).get("status", ""), console)

    match kind:
        case Kind.SENDING_DOMAIN:
            types = (
                ConditionType.OWNERSHIP_VERIFIED,
                ConditionType.DKIM_VERIFIED,
                ConditionType.SPF_VERIFIED,
                ConditionType.DMARC_VERIFIED,
                ConditionType.MX_VERIFIED,
            )
            return [
                Text(str(spec.get("domain", ""))),
                _verified(status),
                *(checked(each) for each in types),
            ]
        case Kind.MAIL_SERVER:
            host, port = spec.get("host"), spec.get("port")
            if host and port is None and not spec.get("provider"):
                # Before a look nobody knows what a provider fills in.
                port = 587
            endpoint = f"{host}:{port}" if host and port else host or "-"
            return [
                Text(str(status.get("endpoint") or endpoint)),
                checked(ConditionType.TLS_VERIFIED),
                checked(ConditionType.SMTP_AUTHENTICATED),
                Text(str(status.get("accounts", "-"))),
                _default(raw),
            ]
        case Kind.EMAIL_ACCOUNT:
            # Without a reference an account sends through the provider's own server.
            own_server = "-" if spec.get("serverRef") else spec.get("provider") or "-"
            place, name = status.get("serverNamespace"), status.get("serverName") or own_server
            return [
                Text(str(spec.get("address", ""))),
                Text(f"{place}/{name}" if place else str(name)),
                checked(ConditionType.SMTP_AUTHENTICATED),
                checked(ConditionType.IMAP_AUTHENTICATED),
                Text(str((status.get("mailbox") or {}).get("unseen", "-"))),
                _default(raw),
                _connection(spec),
            ]


def _connection(spec: Mapping[str, Any]) -> Text:
    """Whether the account is to be used at all."""
    said = str(spec.get("connection") or Connection.CONNECTED.value)
    return Text(said, style="yellow" if said == Connection.DISCONNECTED else "")


def _default(raw: Object) -> Text:
    """Whether it is the default; Superseded where another was marked later."""
    marked = _condition(raw, ConditionType.DEFAULT)
    if not marked:
        return Text("-", style="dim")
    wins = marked.get("status") == ConditionStatus.TRUE
    return Text("yes", style="green") if wins else Text("Superseded")


def _verified(status: Mapping[str, Any]) -> Text:
    """Since which day a domain is verified, or what it is instead."""
    word, day = str(status.get("verification") or "-"), str(status.get("verifiedAt") or "")[:10]
    said = day if word == Verification.VERIFIED and day else word
    return Text(said, style=_VERDICT_COLOURS.get(word, "dim"))


def _show_details(console: Console, raw: Object, *, full: bool) -> None:
    """What is wrong with an object, and how to mend it.

    Of one that is well nothing is said, or with `full` what else there is to know of an account.
    """
    is_account = raw["kind"] == Kind.EMAIL_ACCOUNT.value
    status = raw.get("status") or {}
    ready, findings = _condition(raw, ConditionType.READY), status.get("findings", [])
    is_ready = ready.get("status") == ConditionStatus.TRUE
    known = parse_status(Kind.EMAIL_ACCOUNT, status) if is_account else None
    name = f"{raw['metadata'].get('namespace', '')}/{raw['metadata'].get('name', '')}"
    launch = known.launch if isinstance(known, EmailAccountStatus) else None
    if is_ready and not findings and not (full and is_account):
        if launch is not None and any(each.state is LaunchState.OPEN for each in launch.items):
            _line(console, f"{raw['kind']} {name}  {account_details.launch_summary(launch)}")
        return
    console.print()
    colour = _COLOURS.get(ready.get("status", ""), "")
    head = Text(on_one_line(f"{raw['kind']} {name}"), style="bold")
    reason = Text(on_one_line(f"  {ready.get('reason', '')}"), style=colour)
    console.print(head + reason, soft_wrap=True)
    said: set[str] = set()
    for finding in findings:
        _show_finding(console, finding, said)
        said.add(finding["message"])
    message = ready.get("message", "")
    rest = _unsaid(message, said)
    if not is_ready and rest:
        _line(console, f"  {rest}")
    account_details.print_lines(console, account_details.server_lines(raw))
    domain_details.show_records(console, raw, is_ready=is_ready)
    _show_publishing(console, raw)
    if isinstance(known, EmailAccountStatus):
        plan = account_details.send_plan_lines(known, datetime.now(UTC))
        more = account_details.account_lines(known, said | {message})
        account_details.print_lines(console, [*plan, *more])
        if full:
            account_details.print_lines(console, account_details.launch_lines(launch))
        elif launch is not None:
            _line(console, f"  {account_details.launch_summary(launch).capitalize()}")


def _unsaid(message: str, said: Set[str]) -> str:
    """What of a message nothing has said yet, as whole sentences."""
    kept = []
    for sentence in _SENTENCE_END.split(message):
        clauses = _CLAUSE_END.split(sentence)
        # What was cut to the length of a message is said where its beginning is.
        left = [e for e in clauses if not any(e.removesuffix("…") in text for text in said)]
        if not left:
            continue
        text = " ".join(left)
        if left[-1] is not clauses[-1] and text.endswith(";"):
            text = f"{text[:-1]}."
        if left[0] is not clauses[0] and (first := text.split(" ", 1)[0]).isalpha():
            text = f"{first.capitalize()}{text[len(first) :]}"
        kept.append(text)
    return " ".join(kept)


def _show_publishing(console: Console, raw: Object) -> None:
    """Who would publish the records of a domain, where nobody does."""
    publish = untrusted.mapping(raw.get("spec")).get("publish")
    looked_at = bool(domain_details.records(raw)) and not _condition(
        raw, ConditionType.RECORDS_PUBLISHED
    )
    if looked_at and isinstance(publish, Mapping):
        # Without a cluster; an operator would say what became of it.
        asked = ", ".join(map(str, publish.get("records") or ()))
        _line(
            console,
            f"  spec.publish: the operator in the cluster hands {asked} to external-dns, if it "
            "may; nothing is handed over here.",
        )


def _line(console: Console, text: str, style: str = "") -> None:
    """Print a line whole: a value that is to be copied must not be wrapped."""
    console.print(Text(on_one_line(text), style=style), soft_wrap=True)


def _show_finding(console: Console, finding: Mapping[str, Any], said: Set[str]) -> None:
    """Show a finding and its fix: what goes and what comes, each in a line of its own to copy.

    What an earlier finding said is not repeated, nor what the message and the fix both say.
    """
    colour = _SEVERITY_COLOURS.get(finding["severity"], "dim")
    because = ", ".join(finding.get("because", ()))
    _line(console, f"  {finding['severity']}: {finding['code']}", colour)
    # Of records the sentence says what to do as well, and so reads as a whole.
    fix = finding.get("fix") or {}
    message, told = finding["message"], fix.get("instruction")
    if message not in said and message != told:
        shown = finding.get("summary") or message if told else message
        _line(console, f"    {shown.replace(VALUE_APART, 'the value below')}")
    if because:
        _line(console, f"    Also found: {because}", "dim")
    if finding.get("ask"):
        _line(console, f"    To see it: {finding['ask']}", "dim")
    if not fix:
        return
    if fix["action"] == FixAction.WAIT and fix.get("instruction") in (None, "", KEEPS_LOOKING):
        _line(console, "    Fix: wait.", "cyan")
        return
    if fix["action"] in _TOLD and fix.get("instruction"):
        _line(console, f"    Fix: {in_full(fix['instruction'], fix.get('meanwhile', ''))}", "cyan")
        for line in fix.get("manifest", "").splitlines():
            _line(console, f"      {line}", "green")
        return
    if fix["action"] == FixAction.EXTERNAL:
        _line(console, "    Fix: not in this zone; the sentence above says whose turn it is.")
        return
    _line(console, f"    Fix: {fix['action']}", "cyan")
    for gone in fix.get("remove", ()):
        _line(console, f"      - {gone['type']:5} {gone['name']}  {gone['value']}".rstrip(), "red")
    if fix["action"] == FixAction.DELETE:
        return
    label = fix.get("hostLabel", "")
    at = f"   (name at the DNS host: {label})" if label not in ("", fix["name"]) else ""
    _line(console, f"      + {fix['type']:5} {fix['name']}{at}", "green")
    _line(console, f"        {fix['value']}", "green")
    if fix.get("presentation"):
        _line(console, f"        in a zone file: {fix['presentation']}", "dim")
