# SPDX-License-Identifier: Apache-2.0
"""Which modules are mutated, each with the tests that concern it: the one place to change."""

from __future__ import annotations

_DNS = ("tests/unit/dns/verifying/test_verify.py", "tests/unit/dns/verifying/test_verify_thrift.py")

#: By module, the arguments for pytest; what is quick and likely to fail stands first.
MODULES: dict[str, tuple[str, ...]] = {
    "postroom.reconcile.status.confirm": (
        "tests/unit/reconcile/status/test_confirm.py",
        "tests/unit/reconcile/status/test_summarize.py",
        "tests/unit/reconcile/domain/test_verification.py",
    ),
    "postroom.reconcile.domain.verification": (
        "tests/unit/reconcile/domain/test_verification.py",
        "tests/unit/reconcile/domain/test_verification_worlds.py",
    ),
    "postroom.reconcile.status.schedule": (
        "tests/unit/reconcile/status/test_schedule.py",
        "tests/unit/reconcile/status/test_summarize.py",
    ),
    "postroom.reconcile.status.summarize": (
        "tests/unit/reconcile/status/test_summarize.py",
        "tests/unit/reconcile/status/test_summarize_notices.py",
        "tests/unit/reconcile/domain/test_verification.py",
        "tests/unit/reconcile/status/test_schedule.py",
    ),
    "postroom.reconcile.status.assessment": (
        "tests/unit/reconcile/status/test_assessment.py",
        "tests/unit/reconcile/status/test_summarize.py",
    ),
    "postroom.dns.verifying.quorum": (
        "tests/unit/dns/verifying/test_quorum.py",
        "tests/unit/dns/verifying/test_reporting.py",
        *_DNS,
    ),
    "postroom.dns.verifying.verify": (*_DNS, "tests/unit/dns/verifying/test_compromised.py"),
    "postroom.dns.spf.evaluate": (
        "tests/unit/dns/spf/test_evaluate.py",
        "tests/unit/dns/spf/test_driving.py",
        "tests/unit/dns/spf/test_evaluate_hostile.py",
    ),
    "postroom.mail.connect.guard": (
        "tests/unit/mail/connect/test_guard.py",
        "tests/unit/mail/connect/test_dial.py",
    ),
    "postroom.mail.credentials": ("tests/unit/mail/test_credentials.py",),
    "postroom.controller.queue": (
        "tests/unit/controller/test_queue.py",
        "tests/unit/controller/test_queue_schedule.py",
        "tests/unit/controller/test_queue_fairness.py",
    ),
}
