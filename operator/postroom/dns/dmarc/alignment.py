# SPDX-License-Identifier: Apache-2.0
"""Identifier alignment (RFC 9989 section 4.4): do the planned identifiers match the From domain?"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

from postroom.dns.dmarc.record import AlignmentMode, PolicyRecord, PublicSuffixFlag
from postroom.dns.dmarc.walk import Discovery
from postroom.dns.names import is_within


class Mechanism(StrEnum):
    """What authenticates an identifier."""

    DKIM = "DKIM"  # the d= domain of the signature
    SPF = "SPF"  # the domain of the envelope sender (MAIL FROM), the return path


class Misalignment(StrEnum):
    """Why an identifier does not align with the From domain."""

    STRICT_MODE = "StrictMode"  # adkim=s or aspf=s wants the very same domain
    OTHER_ORGANISATION = "OtherOrganisation"  # nothing in common
    SEPARATED_BY_RECORD = "SeparatedByRecord"  # same tree, but a psd=n record cuts one off
    NO_COMMON_RECORD = "NoCommonRecord"  # same tree, but no record at the domain they share
    PUBLIC_SUFFIX = "PublicSuffix"  # same tree, but psd=y stands between


@dataclass(frozen=True, slots=True)
class PlannedIdentifier:
    """A domain with which mail from the From domain will be authenticated."""

    mechanism: Mechanism
    domain: str


@dataclass(frozen=True, slots=True)
class Alignment:
    """Whether an identifier aligns: True, False with the reason `why`, None if not known.

    `organisational_domain` is the identifier's by the walk, None where it could not be finished.
    """

    identifier: PlannedIdentifier
    mode: AlignmentMode
    aligned: bool | None
    why: Misalignment | None = None
    organisational_domain: str | None = None


def mode_of(record: PolicyRecord | None, mechanism: Mechanism) -> AlignmentMode:
    """Return the mode that the record of the From domain asks for; relaxed without one."""
    if record is None:
        return AlignmentMode.RELAXED
    return record.adkim if mechanism is Mechanism.DKIM else record.aspf


def align(
    author: Discovery, identifier: PlannedIdentifier, discoveries: Mapping[str, Discovery]
) -> Alignment:
    """Judge one identifier against the From domain.

    `discoveries` holds the walk from the identifier's domain; without it, only equal domains and
    strict mode can be told.
    """
    mode = mode_of(author.record, identifier.mechanism)
    own = discoveries.get(identifier.domain)
    theirs = None if own is None else own.organisational_domain
    ours = author.organisational_domain
    aligned: bool | None = None
    if identifier.domain == author.domain:
        aligned = True
    elif mode is AlignmentMode.STRICT:
        aligned = False
    elif theirs is not None and ours is not None:
        aligned = theirs == ours
    why = _why(author, identifier.domain, own, mode) if aligned is False else None
    return Alignment(identifier, mode, aligned, why, theirs)


def _why(
    author: Discovery, domain: str, own: Discovery | None, mode: AlignmentMode
) -> Misalignment:
    if mode is AlignmentMode.STRICT:
        return Misalignment.STRICT_MODE
    if not (is_within(domain, author.domain) or is_within(author.domain, domain)):
        labels = zip(reversed(domain.split(".")), reversed(author.domain.split(".")), strict=False)
        common = list(takewhile(lambda pair: pair[0] == pair[1], labels))
        if len(common) < 2:
            return Misalignment.OTHER_ORGANISATION
    flags = {
        record.psd
        for discovery in (author, own)
        if discovery is not None
        for record in discovery.records.values()
    }
    if PublicSuffixFlag.NO in flags:
        return Misalignment.SEPARATED_BY_RECORD
    if PublicSuffixFlag.YES in flags:
        return Misalignment.PUBLIC_SUFFIX
    return Misalignment.NO_COMMON_RECORD
