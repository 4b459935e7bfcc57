# SPDX-License-Identifier: Apache-2.0
"""EmailAccount: what it depends on, both protocols, identities, sync, messages."""
