# SPDX-License-Identifier: Apache-2.0
"""What keeps the way to mail exchangers encrypted: MTA-STS, TLS-RPT and TLSA, read and written."""
