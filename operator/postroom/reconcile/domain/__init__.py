# SPDX-License-Identifier: Apache-2.0
"""SendingDomain: the records of a domain, who owns it, since when it is verified."""
