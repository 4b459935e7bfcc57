# SPDX-License-Identifier: Apache-2.0
"""``python -m postroom``."""

from postroom.cli.entry import postroom

if __name__ == "__main__":
    postroom()
