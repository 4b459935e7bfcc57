# SPDX-License-Identifier: Apache-2.0
"""TODO signing_in."""
