# SPDX-License-Identifier: Apache-2.0
"""`postroom deliver` as a process: couriers at work, and the part of status that is its own."""
