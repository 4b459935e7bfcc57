# SPDX-License-Identifier: Apache-2.0
"""Records on their way to the user: as text for zone files and for the tools that manage DNS."""
