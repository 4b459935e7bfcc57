# SPDX-License-Identifier: Apache-2.0
"""What keeps tenants apart, and what those share who send: claims on domains, addresses, budgets of
messages, limits of servers."""
