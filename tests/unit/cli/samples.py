# SPDX-License-Identifier: Apache-2.0
"""What status has of a test message that arrived, for the tests of how it is shown."""

from __future__ import annotations

RESULT = {
    "outcome": "DeliveredToSpam",
    "time": "2026-11-21T10:01:00Z",
    "recipient": "support@example.com",
    "reason": "DeliveredToSpam",
    "message": "The test message was delivered to the junk folder.",
    "mailbox": "Junk",
    "latencySeconds": 3,
    "receivedFrom": "other@example.net",
    "authentication": {"spf": "pass", "dkim": "fail", "dkimDomain": "example.com"},
    "warnings": [
        {"code": "SENDER_REWRITTEN", "severity": "Warning", "message": "It arrived from another."}
    ],
    "hops": [
        {"by": "a.example.net", "protocol": "ESMTPSA"},
        {"by": "b.example.net", "protocol": "LMTP", "delaySeconds": 2},
    ],
}
