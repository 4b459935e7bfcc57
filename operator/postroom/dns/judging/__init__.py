# SPDX-License-Identifier: Apache-2.0
"""Judging: what each required record needs to be asked, and what the answers amount to. Pure."""
