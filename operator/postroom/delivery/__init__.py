# SPDX-License-Identifier: Apache-2.0
"""Incoming mail handed to the application that consumes it: `postroom deliver`.

The mailbox is the queue, and a cursor in status is the only state: what was handed over is told by
three numbers, never by a flag in the mailbox. At least once, in the order of UIDs, with a key by
which the application knows a repetition.
"""
