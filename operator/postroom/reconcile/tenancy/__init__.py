# SPDX-License-Identifier: Apache-2.0
"""What keeps tenants apart: claims on domains, addresses, budgets of messages."""
