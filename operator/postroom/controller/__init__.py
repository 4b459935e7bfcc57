# SPDX-License-Identifier: Apache-2.0
"""The level-triggered machine around the reconcilers: watch feed, queue, schedule, one writer."""
