# SPDX-License-Identifier: Apache-2.0
"""Writes the pages of docs/ that are made from code and data: see `pages`."""

from __future__ import annotations

import json
from pathlib import Path

from made import commands, conditions, fields, flags, metrics, roles
from made.page import page as _page
from postroom.api.reasons import CATALOGUE as REASONS
from postroom.dns.findings import Family, families
from postroom.dns.presets.load import preset, providers
from postroom.dns.presets.model import Confirmed, Parameter, Preset, RecordRow
from postroom.mail import finding_meanings as mail_findings
from postroom.mail import presets as mail
from postroom.mail.presets.model import Confirmed as MailConfirmed
from postroom.mail.presets.model import EndpointRow, Limit, SignInWay
from postroom.mail.presets.model import Preset as MailPreset
from postroom.mail.replies.catalogue import causes
from postroom.report.shape import SCHEMA, EmailReport

HERE = Path(__file__).parent
_CELL_LIMIT = 60


def _report_schema() -> dict[str, object]:
    """The JSON schema of `postroom report --json`."""
    schema = EmailReport.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA, **schema}


def pages() -> dict[str, str]:
    """Return the generated pages by file name."""
    reasons = [
        f"| `{reason.value}` | {entry.meaning} | {entry.remedy} |"
        for reason, entry in REASONS.items()
    ]
    return {
        "reasons.md": _page(
            "Reasons",
            "What stands as `reason` in conditions. A reason is never renamed. "
            "`postroom explain REASON` prints the same.",
            ["| Reason | Meaning | What to do |", "|---|---|---|", *reasons],
        ),
        "findings/README.md": _page(
            "Findings",
            "What stands as `code` in `status.findings` of a SendingDomain, by family. "
            "`postroom explain CODE` prints the same. Those of MailServer and EmailAccount have "
            "[a page of their own](mail.md).",
            [line for name, family in families().items() for line in _summary(name, family)],
        ),
        **{f"findings/{name}.md": _family(family) for name, family in families().items()},
        "findings/mail.md": _mail_findings(),
        "providers.md": _page(
            "Providers",
            _PROVIDERS_LEAD,
            [line for name in providers() for line in _provider(preset(name))],
        ),
        "mail-providers.md": _mail_providers(),
        "report.schema.json": json.dumps(_report_schema(), indent=2) + "\n",
        **commands.pages(),
        **conditions.pages(),
        **fields.pages(),
        **flags.pages(),
        **metrics.pages(),
        **roles.pages(),
    }


def _summary(name: str, family: Family) -> list[str]:
    """Write the entry of one family in the list of all."""
    codes = ", ".join(f"[`{code}`]({name}.md#{code.lower()})" for code in sorted(family.codes))
    return [f"## [{family.title}]({name}.md)", "", family.lead, "", codes, ""]


def _family(family: Family) -> str:
    """Write the page of one family."""
    lines = []
    for code, entry in sorted(family.codes.items()):
        lines += [f"## {code}", "", f"*{entry.severity.value}.* {entry.meaning}", ""]
        lines += [f"**What to do:** {entry.remedy}", "", f"Source: {entry.source}.", ""]
    return _page(family.title, family.lead, lines[:-1])


_MAIL_FINDINGS_LEAD = """What stands as `code` in `status.findings` of a MailServer or EmailAccount:
a [reason](../reasons.md) in upper snake case (`CONNECTION_REFUSED`), a cause of the table below, in
upper snake case, too (`APP_PASSWORD_REQUIRED`), or one of the following. `postroom explain CODE`
prints the same."""


def _mail_findings() -> str:
    """Write the page of what is found about servers and accounts."""
    lines = []
    for code, entry in sorted(mail_findings.catalogue().items()):
        lines += [f"## {code}", "", f"*{entry.severity.value}.* {entry.meaning}", ""]
        lines += [f"**What to do:** {entry.remedy}", ""]
        lines += [f"Source: {entry.source}.", ""] if entry.source else []
    lines += [
        "## Causes",
        "",
        "What a server's reply, or the look before dialling, comes down to. The reason of the "
        "condition is coarser.",
        "",
        "What a reply says counts more than its code. A row of the catalogue knows some wordings; "
        "the others are judged by the words that replies of a kind share, and only what has none "
        "by its code. Words of limits, rates and passing faults outrank a code that says that it "
        "stays, and a code that says that it passes (4xx) outranks words: the softer of the two "
        "counts, and the message says that they disagree.",
        "",
        "| Cause | Reason | Meaning | What to do |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{cause.value}` | `{entry.reason.value}` | {entry.meaning} | {entry.remedy} |"
        for cause, entry in causes().items()
    ]
    return _page("Mail servers and accounts", _MAIL_FINDINGS_LEAD, lines)


_PROVIDERS_LEAD = """`spec.provider` of a SendingDomain declares the records that a provider asks
for; `spec.parameters` holds what it issued for the account. What the spec declares itself is added,
and wins.

```yaml
apiVersion: postroom.dev/v1alpha1
kind: SendingDomain
metadata: {name: send-example-com, namespace: mail}
spec:
  domain: send.example.com
  provider: Mailgun
  parameters: {region: EU, dkimHost: 9d876.dkim1.mailgun.com}
```

Names are relative to the domain, `@` is the domain itself. `{domain}` stands for it, and
`{domainDashes}` for it with its dots as dashes. What is not required can be left out without the
provider refusing to work. Every row has a public source; *zones* beside it says that the value was
read from several published zones or guides, and the source is where the provider describes it.

A default may depend on another parameter, such as the region; what the provider shows for the
account goes before it. Capitals in the name of a host, and a dot at its end, make no difference."""


def _provider(chosen: Preset) -> list[str]:
    """Write the section of one provider."""
    lines = [
        f"## {chosen.title}",
        "",
        f"`provider: {chosen.name}` ([documentation]({chosen.documentation}))",
        "",
    ]
    if chosen.parameters:
        lines += ["| Parameter | Meaning | Example | Default |", "|---|---|---|---|"]
        lines += [_parameter(one) for one in chosen.parameters] + [""]
    for group in chosen.one_of:
        lines += [f"Exactly one of {_codes(group)} must be given.", ""]
    lines += [
        "| For | Name | Type | Value | Required | When | Source |",
        "|---|---|---|---|---|---|---|",
    ]
    return lines + [_record(one) for one in chosen.records] + [""]


def _parameter(one: Parameter) -> str:
    example = one.example if len(one.example) <= _CELL_LIMIT else f"{one.example[:20]}…"
    default = "must be given" if one.required else "none"
    if one.default is not None:
        default = f"`{one.default}`"
    if one.default_by is not None:
        by = one.default_by
        others = ", ".join(
            f"`{value}`: {f'`{other}`' if other else 'must be given'}"
            for value, other in by.values.items()
        )
        zones = " *zones*" if by.confirmed is Confirmed.ZONES else ""
        source = f"[{by.checked.isoformat()}]({by.source}){zones}"
        default += f"; by `{by.parameter}` ({source}): {others}"
    if one.no_default_for is not None:
        none = one.no_default_for
        zones = " *zones*" if none.confirmed is Confirmed.ZONES else ""
        source = f"[{none.checked.isoformat()}]({none.source}){zones}"
        default += f"; must be given where {none.words} ({source})"
    meaning = f"{one.description} One of {_codes(one.enum)}." if one.enum else one.description
    return f"| `{one.name}` | {meaning} | `{example}` | {default} |"


def _record(one: RecordRow) -> str:
    when = [f"`{name}` is `{value}`" for name, value in sorted(one.when.items())]
    when += [f"{_codes(one.depends_on)} given"] if one.depends_on else []
    when += [f"`{one.unless}` not given"] if one.unless else []
    value = f"`{one.value}`" + (f" ({one.note})" if one.note else "")
    zones = " *zones*" if one.confirmed is Confirmed.ZONES else ""
    source = f"[{one.checked.isoformat()}]({one.source}){zones}"
    required = "yes" if one.required else "no"
    cells = [
        one.role.value,
        f"`{one.host}`",
        one.type.value,
        value,
        required,
        "; ".join(when),
        source,
    ]
    return f"| {' | '.join(cells)} |"


_MAIL_LEAD = """What postroom knows of the servers that mail is sent through and read from. The
first endpoint of each protocol is the one to use. Limits are what the provider documents, for
planning; what the server itself says counts. *Reported* beside a source says that the fact was read
in several guides or programs, and the source is where the provider describes it."""


def _mail_providers() -> str:
    """Write the page of the providers of mail servers."""
    chosen = [mail.preset(name) for name in mail.providers()]
    lines = [line for one in chosen for line in _mail_provider(one)]
    return _page("Mail providers", _MAIL_LEAD, lines[:-1])


def _mail_provider(chosen: MailPreset) -> list[str]:
    """Write the section of one provider of mail servers."""
    aliases = f", also {_codes(chosen.aliases)}" if chosen.aliases else ""
    lines = [
        f"## {chosen.title}",
        "",
        f"`provider: {chosen.name}`{aliases} ([documentation]({chosen.documentation}))",
        "",
    ]
    if chosen.parameters:
        lines += ["| Parameter | Meaning | Example | Default |", "|---|---|---|---|"]
        for one in chosen.parameters:
            default = f"`{one.default}`" if one.default else "must be given"
            choice = f" One of {_codes(one.enum)}." if one.enum else ""
            lines.append(
                f"| `{one.name}` | {one.description}{choice} | `{one.example}` | {default} |"
            )
        lines.append("")
    source = _mail_source(chosen)
    lines += [
        "| Protocol | Host | Ports | Username | Sign in with | Source |",
        "|---|---|---|---|---|---|",
    ]
    lines += _mail_rows("SMTP", chosen.smtp, chosen.smtp_username.sentence, chosen.ways, source)
    if chosen.imap_username is not None:
        ways = chosen.imap_ways or chosen.ways
        lines += _mail_rows("IMAP", chosen.imap, chosen.imap_username.sentence, ways, source)
    lines.append("")
    if chosen.limits:
        lines += ["| Limit | Value | For | Source |", "|---|---|---|---|"]
        lines += [
            f"| {one.name.value} | {one.value} | {one.scope} | {_mail_source(one)} |"
            for one in chosen.limits
        ]
        lines.append("")
    said = [*chosen.notes, *(one.sentence for one in chosen.mistaken)]
    return [*lines, *(f"- {sentence}" for sentence in said), *([""] if said else [])]


def _mail_source(one: MailPreset | Limit) -> str:
    reported = " *reported*" if one.confirmed is MailConfirmed.REPORTED else ""
    return f"[{one.checked.isoformat()}]({one.source}){reported}"


def _mail_rows(
    protocol: str,
    rows: tuple[EndpointRow, ...],
    username: str,
    ways: tuple[SignInWay, ...],
    source: str,
) -> list[str]:
    """Write one line for each host, with all its ports."""
    lines = []
    for host in dict.fromkeys(row.host for row in rows):
        ports = ", ".join(f"{row.port} {row.tls.value}" for row in rows if row.host == host)
        signing_in = ", ".join(way.value for way in ways)
        cells = [protocol, f"`{host}`", ports, username.removeprefix("be "), signing_in, source]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _codes(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_text(text)
