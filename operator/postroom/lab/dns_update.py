# SPDX-License-Identifier: Apache-2.0
"""DNS UPDATE (RFC 2136) of the lab's zones: prerequisites, then all of the changes or none."""

from dns import rcode, rdataclass, rdatatype
from dns.rrset import RRset
from dns.update import UpdateMessage

from postroom.dns.names import canonical
from postroom.lab.zone_data import ZoneData, to_value

#: Types that no record has (section 3.4.1).
_NO_DATA = frozenset({rdatatype.ANY, rdatatype.AXFR, rdatatype.IXFR, rdatatype.MAILB})
_AT_APEX = frozenset({"SOA", "NS"})


def apply(update: UpdateMessage, zones: ZoneData) -> rcode.Rcode:
    """Carry out an update; anything but NOERROR left the zones as they were."""
    # The zone (section 3.1).
    if len(update.zone) != 1 or update.zone[0].rdtype != rdatatype.SOA:
        return rcode.FORMERR
    apex = canonical(update.zone[0].name.to_text())
    if apex not in zones.apexes:
        return rcode.NOTAUTH
    for change in (*update.prerequisite, *update.update):
        if not change.name.is_subdomain(update.zone[0].name):
            return rcode.NOTZONE
    # The prerequisites (section 3.2).
    wanted: dict[tuple[str, str], set[str]] = {}
    for rrset in update.prerequisite:
        name, kind = _key(rrset)
        if rrset.deleting is None:
            wanted.setdefault((name, kind), set()).update(map(to_value, rrset))
            continue
        is_name = rrset.rdtype == rdatatype.ANY
        stands = bool(zones.kinds(name)) if is_name else bool(zones.get(name, kind))
        if rrset.deleting == rdataclass.ANY and not stands:
            return rcode.NXDOMAIN if is_name else rcode.NXRRSET
        if rrset.deleting == rdataclass.NONE and stands:
            return rcode.YXDOMAIN if is_name else rcode.YXRRSET
    for (name, kind), values in wanted.items():
        if set(zones.get(name, kind)) != values:
            return rcode.NXRRSET
    # No change is made before all of them are found well-formed (section 3.4.1).
    for change in update.update:
        removes_name = change.deleting == rdataclass.ANY and change.rdtype == rdatatype.ANY
        if change.rdtype in _NO_DATA and not removes_name:
            return rcode.FORMERR
    for change in update.update:
        _change(change, apex, zones)
    return rcode.NOERROR


def _change(rrset: RRset, apex: str, zones: ZoneData) -> None:
    """Carry out one change (section 3.4.2).

    A zone keeps its SOA, which is the lab's own, and its last name server; an alias stands alone.
    """
    name, kind = _key(rrset)
    keeps = _AT_APEX if name == apex else frozenset()
    if rrset.deleting == rdataclass.ANY:
        kinds = zones.kinds(name) if kind == "ANY" else [kind]
        for gone in kinds:
            if gone not in keeps and zones.get(name, gone):
                zones.remove(name, gone)
        return
    for value in map(to_value, rrset):
        if rrset.deleting == rdataclass.NONE:
            is_last = zones.get(name, kind) == [value]
            if value in zones.get(name, kind) and kind != "SOA" and not (kind in keeps and is_last):
                zones.remove(name, kind, value)
        elif kind == "CNAME" and not set(zones.kinds(name)) - {kind}:
            zones.remove(name, kind)
            zones.add(name, kind, value, rrset.ttl)
        elif kind not in ("CNAME", "SOA") and not zones.get(name, "CNAME"):
            zones.add(name, kind, value, rrset.ttl)


def _key(rrset: RRset) -> tuple[str, str]:
    return canonical(rrset.name.to_text()), rdatatype.to_text(rrset.rdtype)
