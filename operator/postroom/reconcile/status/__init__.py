# SPDX-License-Identifier: Apache-2.0
"""From an assessment to the one status: conditions, confirmation, schedule."""
