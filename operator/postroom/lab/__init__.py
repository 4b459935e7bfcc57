# SPDX-License-Identifier: Apache-2.0
"""The local mail lab: DNS, SMTP and IMAP servers on loopback that the samples verify against."""
