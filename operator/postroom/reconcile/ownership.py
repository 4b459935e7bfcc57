# SPDX-License-Identifier: Apache-2.0
"""What is said of a domain's ownership where no record tells it: there is no key."""

from __future__ import annotations

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Finding, Severity
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import Purpose, SendingDomainSpec
from postroom.dns.findings import finding
from postroom.dns.ownership import OwnershipRules
from postroom.reconcile.assessment import unknown

_NO_KEY = (
    "The operator has no ownership key, so there is no ownership token to publish or to look for: "
    "its administrator sets POSTROOM_OWNERSHIP_KEY or --ownership-key-file."
)
_KEY_ELSEWHERE = (
    "The ownership token was not looked at: it needs the operator's key (--ownership-key-file)."
)


def requiring(spec: SendingDomainSpec, rules: OwnershipRules) -> SendingDomainSpec:
    """Let ownership gate Ready where the operator's rules say so, whatever the spec requires."""
    if spec.require is None or Purpose.OWNERSHIP in spec.require or not rules.token_required:
        return spec
    return spec.model_copy(update={"require": [Purpose.OWNERSHIP, *spec.require]})


def without_key(rules: OwnershipRules) -> Verdict:
    """The verdict where a derived token would have to be looked at and there is no key."""
    message = _KEY_ELSEWHERE if rules.key_elsewhere else _NO_KEY
    return unknown(ConditionType.OWNERSHIP_VERIFIED, Reason.OWNERSHIP_KEY_MISSING, message)


def finding_without_key(rules: OwnershipRules, *, required: bool) -> Finding:
    """The same as a finding; it keeps nobody from anything where the key is elsewhere."""
    made = finding("OWNERSHIP_KEY_MISSING", "ownership", without_key(rules).message)
    severity = Severity.ERROR if required and not rules.key_elsewhere else Severity.INFO
    return made.model_copy(update={"severity": severity})
