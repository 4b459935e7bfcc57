# SPDX-License-Identifier: Apache-2.0
"""Causes in MX records, and at the name that bounces go to."""

from collections.abc import Iterable, Iterator

from postroom.api.findings import RecordToRemove
from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import Question, RecordType
from postroom.dns.diagnosis.case import Case, CauseFamily, Probe
from postroom.dns.diagnosis.synthesis import from_wildcard, invented_sibling
from postroom.dns.finding_codes import Code
from postroom.dns.judging import mx_strays
from postroom.dns.judging.fixes import create, removal, replace
from postroom.dns.judging.host_slips import form_of, is_host, means
from postroom.dns.judging.judgement import Cause, Evidence
from postroom.dns.judging.reverse_names import addresses_in
from postroom.dns.names import can_be_asked, is_within
from postroom.dns.presets.identify import title_of
from postroom.dns.requirements import CNAMEWanted, MXWanted
from postroom.dns.texts.quoting import quoted

_ADDRESSES = (RecordType.A, RecordType.AAAA)
#: What may stand where the CNAME of a return path belongs.
_IN_THE_WAY = (RecordType.MX, RecordType.TXT, RecordType.A, RecordType.AAAA)
_LOOK_BEHIND = 3


def probes(case: Case) -> Iterable[Probe]:
    """Where mail goes without MX, what foreign hosts are, and what is in the way of a CNAME."""
    wanted, name = case.planned.wanted, case.planned.name
    if isinstance(wanted, MXWanted):
        if not case.answer.values:
            yield from (Probe(3, Question(name, kind)) for kind in _ADDRESSES)
        # Hosts of the domain's own that are not wanted, but may lead to what is.
        hosts = sorted(mx_strays.host_of(value) for value in case.answer.values)
        inside = case.apex or case.domain
        own = [host for host in hosts if is_within(host, inside) and can_be_asked(host)]
        yield from (Probe(3, Question(host, RecordType.CNAME)) for host in own[:_LOOK_BEHIND])
    elif _is_return_path(case):
        beside = invented_sibling(case)
        for kind in _IN_THE_WAY:
            yield Probe(3, Question(name, kind))
            if beside is not None:
                yield Probe(4, Question(beside, kind))


def causes(case: Case) -> Iterable[Cause]:
    """Tell what shows in the values, and what stands beside them."""
    if isinstance(case.planned.wanted, MXWanted):
        yield from _slips(case, case.planned.wanted)
        values, ours = case.answer.values, mx_strays.siblings(case.planned, case.context)
        hosts = [mx_strays.host_of(value) for value in sorted(values)]
        if hosts and all(mx_strays.is_of_another_provider(host, ours) for host in hosts):
            title, host = title_of(hosts[0]), case.planned.wanted.host
            message = f"Mail to {case.planned.name} goes to {title}, not to {host}."
            fix = replace(case.planned, values)
            yield Cause(Code.MX_OTHER_PROVIDER, message, fix, Evidence.SHOWN)
        addresses = [case.at(case.planned.name, kind) for kind in _ADDRESSES]
        if not (values or case.answer.aliases) and any(
            address is not None and address.values for address in addresses
        ):
            # Without an MX, senders deliver to the address of the name itself (section 5.1).
            message = (
                f"There is no MX at {case.planned.name}, so that senders deliver to the address of "
                "that name instead (RFC 5321)."
            )
            yield Cause(Code.MX_MISSING, message, create(case.planned))
        aliases, is_bounce = case.answer.aliases, case.planned.purpose is Purpose.RETURN_PATH
        if is_bounce and aliases and not from_wildcard(case, RecordType.MX):
            # The MX of a return path cannot stand beside the CNAME of another setup.
            message = (
                f"There is a CNAME to {quoted(aliases[0])} at {case.planned.name}, where the MX of "
                "the return path must stand."
            )
            fix = replace(case.planned, aliases[:1], type=RecordType.CNAME)
            yield Cause(Code.RP_CONFLICT, message, fix, Evidence.SHOWN)
    elif _is_return_path(case):
        yield from _others_in_the_way(case)


def _slips(case: Case, wanted: MXWanted) -> Iterator[Cause]:
    """A value that became of the wanted one on its way into DNS, or that names no host at all."""
    if case.planned.value in case.answer.values or mx_strays.NOBODY in map(
        mx_strays.host_of, case.answer.values
    ):
        return  # What stands beside it is told by the judge.
    found_strays = mx_strays.strays(case.planned, case.seen, case.context)
    gone = [record.value for record in found_strays]
    for value in sorted(case.answer.values):
        host = mx_strays.host_of(value)
        if host in (mx_strays.NOBODY, wanted.host):
            continue
        found = _slip(case, wanted, host)
        if found is not None:
            code, what, evidence = found
            message = f"The MX {quoted(host)} of {case.planned.name} {what}."
            fix = replace(case.planned, dict.fromkeys([value, *gone]))
            yield Cause(code, message, fix, evidence)
    for stray in found_strays:
        if stray.code in (Code.MX_OTHER_UNRESOLVABLE, Code.MX_NOT_ALONE, Code.MX_TAKES_MAIL):
            continue  # No form of the required one: the judge takes them away.
        message = (
            f"The MX {quoted(mx_strays.host_of(stray.value))} of {case.planned.name} {stray.what}; "
            f"there is no MX {case.planned.value}."
        )
        yield Cause(stray.code, message, replace(case.planned, gone), Evidence.LIKELY)


def _slip(case: Case, wanted: MXWanted, host: str) -> tuple[Code, str, Evidence] | None:
    """Return the code of what happened to a host, what to say of it, and how sure it is."""
    for bare in (host, *mx_strays.without_zone(host, case.context)):
        doubled = "" if bare == host else ", to which the DNS host added the zone"
        if doubled and bare == wanted.host:
            what = "has the zone at its end: the DNS host added it to the host"
            return Code.MX_TARGET_DOUBLED, what, Evidence.PROVEN
        if addresses_in([bare.strip("[]")]):
            what = f"is an address{doubled}, where only the name of a host can stand"
            return Code.MX_IP, what, Evidence.SHOWN
        typed = mx_strays.WITH_PREFERENCE.fullmatch(bare)
        if typed is not None:
            what = f"begins with the preference{doubled}, which has a field of its own"
            sure = typed["host"] == wanted.host
            return Code.MX_PRIORITY_IN_HOST, what, Evidence.PROVEN if sure else Evidence.LIKELY
        if means(bare, wanted.host):
            said = (
                "has hyphens or underscores where dots belong" if is_host(bare) else form_of(bare)
            )
            return Code.MX_NOT_A_HOST, f"{said}{doubled}: {wanted.host} was meant", Evidence.PROVEN
    behind = case.at(host, RecordType.CNAME)
    if behind is not None and wanted.host in behind.values:
        what = f"is only an alias of {wanted.host}, which MX must not name (RFC 2181 section 10.3)"
        return Code.MX_CNAME_TO_WANTED, what, Evidence.PROVEN
    return None


def _is_return_path(case: Case) -> bool:
    is_alias = isinstance(case.planned.wanted, CNAMEWanted)
    return is_alias and case.planned.purpose is Purpose.RETURN_PATH


def _others_in_the_way(case: Case) -> Iterator[Cause]:
    """The CNAME of a return path must be alone at its name (RFC 1034 section 3.6.2)."""
    name = case.planned.name
    cname = case.at(name, RecordType.CNAME)
    if cname is None or not cname.conclusive or cname.values:
        return
    gone = list[RecordToRemove]()
    for kind in _IN_THE_WAY:
        answer = case.at(name, kind)
        if answer is None or answer.aliases or from_wildcard(case, kind):
            continue
        gone += removal(name, kind, answer.values)
    if gone:
        kinds = ", ".join(dict.fromkeys(record.type for record in gone))
        message = (
            f"There are other records at {name} ({kinds}), where the CNAME of the return path must "
            "be alone."
        )
        fix = replace(case.planned, (), more=gone)
        yield Cause(Code.RP_CONFLICT, message, fix, Evidence.SHOWN)


FAMILY = CauseFamily(probes, causes)
