# SPDX-License-Identifier: Apache-2.0
"""The report for people without kubectl: what is broken, whose turn it is, what to paste."""
