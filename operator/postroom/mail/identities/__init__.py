# SPDX-License-Identifier: Apache-2.0
"""Which addresses a mailbox may send as, as its provider lists them, and what that means.

`NetworkIdentities` asks Gmail and Microsoft Graph, `read` understands their answers, `judge` says
what they and a server's answers to MAIL and RCPT tell about one address.
"""
