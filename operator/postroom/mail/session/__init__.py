# SPDX-License-Identifier: Apache-2.0
"""What SMTP and IMAP sessions share: SASL, capabilities, probing, the filter of echoes."""
