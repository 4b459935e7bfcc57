# SPDX-License-Identifier: Apache-2.0
"""How many probes run at a time, over all and per host, and how often a login is refused."""
