# SPDX-License-Identifier: Apache-2.0
"""IMAP (RFC 3501, RFC 9051): sessions that check, and sessions that look for messages."""
