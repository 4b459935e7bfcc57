# SPDX-License-Identifier: Apache-2.0
"""Messages of postroom's own: asked for, on a schedule, or to try a forwarding."""
