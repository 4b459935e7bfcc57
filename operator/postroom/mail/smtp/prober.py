# SPDX-License-Identifier: Apache-2.0
"""The SMTP check: connect, secure, greet, read capabilities, authenticate once, quit. No mail."""

from __future__ import annotations

from postroom.mail.smtp.auth import SmtpSignIn


class SmtpProbe(SmtpSignIn):
    """One check of one SMTP endpoint; `run` once."""
