# SPDX-License-Identifier: Apache-2.0
"""What `postroom check` found, in the formats of those who read it: editors, code hosts, CI."""
