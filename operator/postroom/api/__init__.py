# SPDX-License-Identifier: Apache-2.0
"""What users write and what they read back: the three kinds, their conditions and reasons.

Imports nothing else of postroom, so that every other package may import it.
"""
