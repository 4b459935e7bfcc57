# SPDX-License-Identifier: Apache-2.0
"""Diagnosis: why a record is not as it must be, best proven cause first, and its fix. Pure."""
