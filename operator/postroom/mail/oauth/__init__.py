# SPDX-License-Identifier: Apache-2.0
"""OAuth 2.0 for mailboxes: from what a spec says to a token, and what a refusal means."""
