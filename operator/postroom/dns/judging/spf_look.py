# SPDX-License-Identifier: Apache-2.0
"""One SPF record to be judged, with all that was seen of it, and who passes by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from postroom.dns import spf
from postroom.dns.answers import Answer, Outcome
from postroom.dns.judging import spf_includes, spf_losses
from postroom.dns.judging.judgement import Context
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import PlannedRecord


@dataclass(frozen=True, slots=True)
class SPFLook:
    """The records of a name; `is_fix` tells that they are not there yet, but what a fix makes: of
    a fault in them no further fix is looked for."""

    planned: PlannedRecord
    wanted: spf.Requirement
    context: Context
    answer: Answer
    records: Sequence[str]
    others: dict[str, spf.Fetched]
    seen: Seen
    is_fix: bool = False

    def after(self, text: str) -> SPFLook:
        """The look at a record that a fix makes, as if it stood there."""
        others = published(self.others, self.planned.name, text)
        return replace(self, records=(text,), others=others, is_fix=True)

    def trial(self, text: str, unasked: Outcome = Outcome.TIMEOUT) -> spf_includes.Trial:
        """Who is required and does not pass by a record."""
        name, seen = self.planned.name, self.seen
        made = spf_includes.try_required(text, self.wanted, self.others, name, seen, unasked)
        return spf_losses.with_refused(made, text, name, seen)

    def passes(self, text: str) -> bool:
        """Whether what is required passes, if need be where names of the message are not there."""
        return any(self.trial(text, of).all_pass for of in (Outcome.TIMEOUT, Outcome.NX_DOMAIN))

    def depends(self, text: str) -> bool:
        """Whether what is required passes by a record only where names of the message are there:
        one that it includes and that is not is permerror, as are more than two others (RFC 7208
        sections 5.2 and 4.6.4)."""
        found = spf.reach(text, self.others, self.planned.name)
        varies = bool(found.dependent) or found.most_voids > spf.VOID_LOOKUP_LIMIT
        return varies and bool(self.trial(text, Outcome.NX_DOMAIN).failing)


def published(others: dict[str, spf.Fetched], name: str, text: str) -> dict[str, spf.Fetched]:
    """What was seen, as if a record stood at its name: what leads back there finds it, and the
    addresses of that name are what they are."""
    there = others.get(name, spf.Fetched())
    return {**others, name: replace(there, texts=(text,), missing=False, unknown=False)}
