# SPDX-License-Identifier: Apache-2.0
"""Test messages of our own: written, found again, and judged by where and how they arrived.

Pure: what is sent and scanned comes in, values and sentences go out. `compose` writes a message,
`recognise` finds it among what arrived, `judge` and `judge_forwarding` conclude.
"""

from postroom.mail.round_trip.authentication import Authentication, Signature, authentication
from postroom.mail.round_trip.authentication_results import Outcome
from postroom.mail.round_trip.compose import Draft, Purpose, compose, probe_key, proof_of
from postroom.mail.round_trip.forwarding import ForwardingReport, judge_forwarding
from postroom.mail.round_trip.forwarding_steps import Guide, guide, guides, steps_for
from postroom.mail.round_trip.header import FIELD_NAMES
from postroom.mail.round_trip.recognise import Expected, Found, Sighting, Stray, recognise
from postroom.mail.round_trip.trace import Hop, trace
from postroom.mail.round_trip.verdict import DEADLINE, LATE_AFTER, Arrival, Placement, Sent, judge

__all__ = [
    "DEADLINE",
    "FIELD_NAMES",
    "LATE_AFTER",
    "Arrival",
    "Authentication",
    "Draft",
    "Expected",
    "ForwardingReport",
    "Found",
    "Guide",
    "Hop",
    "Outcome",
    "Placement",
    "Purpose",
    "Sent",
    "Sighting",
    "Signature",
    "Stray",
    "authentication",
    "compose",
    "guide",
    "guides",
    "judge",
    "judge_forwarding",
    "probe_key",
    "proof_of",
    "recognise",
    "steps_for",
    "trace",
]
