# SPDX-License-Identifier: Apache-2.0
"""Texts in DNS: how they are carried and shown, the lists in them, and what pasting does."""
