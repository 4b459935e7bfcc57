# SPDX-License-Identifier: Apache-2.0
"""SPF (RFC 7208): reading, evaluating, counting, checking and merging records.

The modules: `record` (syntax), `macro`, `evaluate` and `driving` (check_host), `budget` (the
static worst case), `requirement` (what must be authorised), `savings`, `lint` and `merge`.
"""

from postroom.dns.spf.budget import (
    Cost,
    Fetched,
    Reach,
    reach,
    referred_ends,
    referred_hosts,
    referred_names,
)
from postroom.dns.spf.driving import asking, check_host, check_host_with
from postroom.dns.spf.evaluate import Limits, Lookup, Result, ResultCode
from postroom.dns.spf.record import (
    LOOKUP_LIMIT,
    VOID_LOOKUP_LIMIT,
    Network,
    Record,
    SyntaxProblem,
    Term,
    is_spf,
    looks_like_spf,
    mechanism_for,
    network,
    parse,
    select,
)
from postroom.dns.spf.requirement import Requirement

__all__ = [
    "LOOKUP_LIMIT",
    "VOID_LOOKUP_LIMIT",
    "Cost",
    "Fetched",
    "Limits",
    "Lookup",
    "Network",
    "Reach",
    "Record",
    "Requirement",
    "Result",
    "ResultCode",
    "SyntaxProblem",
    "Term",
    "asking",
    "check_host",
    "check_host_with",
    "is_spf",
    "looks_like_spf",
    "mechanism_for",
    "network",
    "parse",
    "reach",
    "referred_ends",
    "referred_hosts",
    "referred_names",
    "select",
]
