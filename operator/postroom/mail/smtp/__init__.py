# SPDX-License-Identifier: Apache-2.0
"""SMTP (RFC 5321): sessions that check, and sessions that send."""
