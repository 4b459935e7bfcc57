# SPDX-License-Identifier: Apache-2.0
"""What people see of an EmailAccount besides its verdict: mailbox, identities, and what became of
the messages that postroom sent."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from postroom.api import account_messages
from postroom.api.binding import BindingStatus
from postroom.api.emailaccount_status import EmailAccountStatus, LastBackfill
from postroom.api.identities import IdentityState, IdentityStatus
from postroom.api.launch import Launch, LaunchItem, LaunchState
from postroom.api.names import Kind
from postroom.api.profile import InboundStatus
from postroom.api.times import parse_timestamp
from postroom.log import on_one_line
from postroom.reconcile.status.schedule import is_busy
from postroom.reconcile.tenancy.send_plan import allowance

#: Outcomes that `kubectl postroom test` calls a success.
ARRIVED = frozenset(
    {account_messages.MessageOutcome.DELIVERED, account_messages.MessageOutcome.ACCEPTED}
)
_OUTCOMES = {
    account_messages.MessageOutcome.DELIVERED: "green",
    account_messages.MessageOutcome.ACCEPTED: "green",
    account_messages.MessageOutcome.NOT_DELIVERED: "red",
    account_messages.MessageOutcome.FAILED: "red",
}
_STATES = {IdentityState.VERIFIED: "green", IdentityState.REJECTED: "red"}
_VERDICTS = {
    account_messages.ForwardingVerdict.REDIRECTED: "green",
    account_messages.ForwardingVerdict.REWRITTEN: "red",
    account_messages.ForwardingVerdict.NOT_ARRIVING: "red",
}
_OPEN = "yellow"
_LAUNCH = {LaunchState.DONE: "green", LaunchState.OPEN: _OPEN, LaunchState.UNKNOWN: _OPEN}


class Line(NamedTuple):
    """A line of text, printed whole; `style` is a colour of rich."""

    text: str
    style: str = ""


def print_lines(console: Console, lines: Iterable[Line]) -> None:
    """Print lines whole: what is to be copied must not be wrapped."""
    for line in lines:
        console.print(Text(on_one_line(line.text), style=line.style), soft_wrap=True)


def account_lines(status: EmailAccountStatus, said: Collection[str] = ()) -> Iterator[Line]:
    """The lines about an account besides its conditions and findings.

    Sentences that were `said` already are not repeated.
    """
    mailbox = status.mailbox
    if mailbox is not None:
        counts = [f"{mailbox.messages} message{'s' * (mailbox.messages != 1)}"]
        counts += [f"{mailbox.unseen} unseen"] if mailbox.unseen is not None else []
        counts += [f"{mailbox.new_messages} new"] if mailbox.new_messages is not None else []
        yield Line(f"  Mailbox {mailbox.name}: {', '.join(counts)}")
        if mailbox.newest_time is not None:
            yield Line(f"    newest: {mailbox.newest_time}", "dim")
        usages = ((mailbox.octets, "octets"), (mailbox.message_quota, "messages"))
        for usage, unit in usages:
            if usage is not None and usage.limit:
                share = 100 * usage.used // usage.limit
                yield Line(f"    {usage.used} of {usage.limit} {unit} used ({share}%)", "dim")
    if status.used_by:
        named = ", ".join(f"{user.kind} {user.name} ({user.use.value})" for user in status.used_by)
        more = (status.used_by_count or 0) - len(status.used_by)
        yield Line(f"  Used by {named}" + (f" and {more} more" if more > 0 else ""))
    yield from _identities(status.identities, said)
    yield from _binding(status.binding)
    yield from _delivery(status.inbound)
    yield from _messages(status)


def server_lines(raw: Mapping[str, Any]) -> Iterator[Line]:
    """Quote what servers said in their own words, and say that it is theirs."""
    status = raw.get("status") or {}
    last = status.get("lastProbe") or {}
    probes = (
        {"SMTP": last}
        if raw["kind"] == Kind.MAIL_SERVER.value
        else {name.upper(): last.get(name) or {} for name in ("smtp", "imap")}
    )
    for protocol, facts in probes.items():
        if text := facts.get("serverText"):
            code = f"{facts['code']} " if "code" in facts else ""
            yield Line(f'    The {protocol} server\'s own words: "{code}{text}"', "dim")


def _identities(identities: Sequence[IdentityStatus], said: Collection[str]) -> Iterator[Line]:
    if all(
        identity.state is IdentityState.UNVERIFIABLE and not identity.declared
        for identity in identities
    ):
        return
    yield Line("  Identities", "bold")
    address = max(len(identity.address) for identity in identities)
    kind = max(len(identity.type.value) for identity in identities)
    for identity in identities:
        by = f" ({identity.method.value})" if identity.method else ""
        yield Line(
            f"    {identity.address:{address}}  {identity.type.value:{kind}}  "
            f"{identity.state.value}{by}",
            _STATES.get(identity.state, _OPEN),
        )
        if identity.state is not IdentityState.VERIFIED and identity.message not in said:
            yield Line(f"      {identity.message}", "dim")


def _binding(binding: BindingStatus | None) -> Iterator[Line]:
    """Where an application finds what it needs to send, and under which keys."""
    if binding is None:
        return
    names = dict.fromkeys(name for name in (binding.name, binding.default_name) if name)
    if names:
        yield Line(f"  Binding: Secret {' and Secret '.join(names)}")
    if names and binding.keys:
        yield Line(f"    keys: {', '.join(binding.keys)}", "dim")


def _delivery(inbound: InboundStatus | None) -> Iterator[Line]:
    """How far incoming mail was handed to its application."""
    if inbound is None or inbound.waiting is None:
        return
    told = f"{inbound.waiting} waiting"
    told += f", last one handed over {inbound.delivered_at}" if inbound.delivered_at else ""
    yield Line(f"  Incoming mail: {told}")
    if inbound.rejected:
        last = inbound.last_rejected
        where = f"; the last: UID {last.uid} of {last.mailbox}, {last.code}" if last else ""
        yield Line(f"    {inbound.rejected} passed by, refused for two days{where}", _OPEN)


def _messages(status: EmailAccountStatus) -> Iterator[Line]:
    """What became of the messages that postroom sent: to forwarding, round trips and tests."""
    forwarding, trip, test = status.forwarding, status.round_trip, status.last_test
    if forwarding is not None:
        verdict = forwarding.verdict
        text = f"  Forwarding to {forwarding.technical_address or '-'}: {verdict.value}"
        yield Line(text, _VERDICTS.get(verdict, _OPEN))
        if forwarding.in_flight is not None:
            yield Line(f"    A message of {forwarding.in_flight.time} is on its way.", "dim")
        for number, step in enumerate(forwarding.steps, 1):
            yield Line(f"    {number}. {step}")
    if status.sync is not None and is_busy(status):
        yield Line(f"  Mailbox: {status.sync.phase.value}", "dim")
    for source in status.forwarded_from:
        yield Line(f"  Receives the mail of {source.address} as {source.technical_address}")
    if trip is not None and trip.result is not None:
        text = f"  Round trip of {trip.result.time}: {_arrival(trip.result)}"
        yield Line(text, _OUTCOMES.get(trip.result.outcome, _OPEN))
    for sender in trip.senders if trip is not None else ():
        text = f"    as {sender.address}: {sender.outcome.value} ({sender.time})"
        yield Line(text, _OUTCOMES.get(sender.outcome, _OPEN))
    if trip is not None and trip.in_flight is not None:
        yield Line(f"    A message of {trip.in_flight.time} is on its way.", "dim")
    if test is not None and test.in_flight is not None:
        flight = test.in_flight
        text = f"  Test message to {flight.recipient} of {flight.time}: {flight.step.value}"
        yield Line(text, _OPEN)
    if test is not None and test.result is not None:
        yield from (Line(f"  {line.text}", line.style) for line in result_lines(test.result))


def _arrival(result: account_messages.MessageResult) -> str:
    """The outcome, where it arrived, and how fast."""
    text = result.outcome.value
    text += f" in {result.mailbox}" if result.mailbox else ""
    return text + (
        f" after {result.latency_seconds} s" if result.latency_seconds is not None else ""
    )


def result_lines(result: account_messages.MessageResult | None) -> list[Line]:
    """What became of a test message: outcome, latency, how it was judged, and its way."""
    if result is None:
        return [Line("The message has not come to an end.", _OPEN)]
    colour = _OUTCOMES.get(result.outcome, _OPEN)
    lines = [
        Line(f"Test message to {result.recipient} of {result.time}: {_arrival(result)}", colour),
        Line(f"  {result.message}"),
    ]
    if result.outcome not in ARRIVED:
        lines.append(Line(f"  Reason: {result.reason}", "dim"))
    if result.received_from:
        lines.append(Line(f"  It arrived from {result.received_from}.", _OPEN))
    if result.authentication:
        found = result.authentication
        dkim = f"{found.dkim} ({found.dkim_domain})" if found.dkim_domain else found.dkim
        judged = {"spf": found.spf, "dkim": dkim, "dmarc": found.dmarc, "arc": found.arc}
        told = ", ".join(f"{name}={text}" for name, text in judged.items() if text)
        lines.append(Line(f"  Authentication: {told or 'none told'}"))
    lines += [
        Line(f"  {warning.severity.value}: {warning.code}: {warning.message}", _OPEN)
        for warning in result.warnings
        if warning.message != result.message
    ]
    lines += [Line("  Hops:")] if result.hops else []
    for hop in result.hops:
        delay = f"+{hop.delay_seconds} s" if hop.delay_seconds is not None else ""
        parts = (part for part in (hop.by, hop.protocol, delay) if part)
        lines.append(Line(f"    {'  '.join(parts)}", "dim"))
    return lines


def backfill_lines(last: LastBackfill | None) -> list[Line]:
    """What a look back found: how many messages arrived on which day."""
    if last is None:
        return [Line("The mailbox was not looked at.", _OPEN)]
    refused = last.messages is None
    lines = [Line(last.message, "red" if refused else "")]
    lines += [Line(f"  Reason: {last.reason}", "dim")] if refused else []
    width = max((len(str(day.messages)) for day in last.days), default=0)
    return lines + [Line(f"  {day.date}  {day.messages:{width}}") for day in last.days]


def launch_summary(launch: Launch) -> str:
    """How much of the checklist is done, and what is not, in one line."""
    parts = [f"launch {launch.summary}"]
    for state in (LaunchState.OPEN, LaunchState.UNKNOWN):
        items = [entry.item for entry in launch.items if entry.state is state]
        words = [item.name.lower().replace("_", " ") for item in items]
        parts += [f"{state.value.lower()}: {', '.join(words)}"] if words else []
    return ": ".join(parts[:2]) + "".join(f"; {part}" for part in parts[2:])


def launch_lines(launch: Launch | None) -> Iterator[Line]:
    """The lines on what is to be done before applications use an account."""
    if launch is None:
        return
    yield Line(f"  Launch: {launch.summary}", "bold")
    widths = [max(len(each.value) for each in enum) for enum in (LaunchState, LaunchItem)]
    for entry in launch.items:
        words = f"{entry.state.value:{widths[0]}}  {entry.item.value:{widths[1]}}"
        words = f"{words}  since {entry.since}" if entry.since is not None else words.rstrip()
        yield Line(f"    {words}", _LAUNCH.get(entry.state, "dim"))
        if entry.state in (LaunchState.OPEN, LaunchState.UNKNOWN):
            yield Line(f"      {entry.message}", "dim")


def send_plan_lines(status: EmailAccountStatus, now: datetime) -> Iterator[Line]:
    """The lines on how much the account may send and when; none where nothing limits it."""
    plan = status.send_plan
    if plan is None:
        return
    numbers = [
        f"{number} {unit} ({source.value})"
        for number, unit, source in (
            (plan.daily, "a day", plan.daily_from),
            (plan.hourly, "an hour", plan.hourly_from),
        )
        if number is not None and source is not None
    ]
    if plan.connections is not None:
        numbers.append(f"{plan.connections} connection{'s' * (plan.connections > 1)} at a time")
    yield Line(f"  Sending: at most {', '.join(numbers)}" if numbers else "  Sending")
    if plan.window is not None:
        days = ", ".join(day.value for day in plan.window.days)
        hours = f"{plan.window.start} to {plan.window.end}"
        yield Line(f"    {days}, {hours} ({plan.window.time_zone})", "dim")
    since = status.connected_at
    today = allowance(plan, parse_timestamp(since) if since else None, now)
    if plan.ramp_up is not None:
        grows = f"{plan.ramp_up.start_daily} a day, {plan.ramp_up.daily_increase} more each day"
        yield Line(f"    begins with {grows}, from {since or 'when it connects'}", "dim")
    if today.daily is not None and plan.daily != today.daily:
        yield Line(f"    today: {today.daily}", "dim")
