# SPDX-License-Identifier: Apache-2.0
"""Verifying a domain: what is asked, how views and servers are weighed, and the report of it."""
