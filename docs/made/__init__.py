# SPDX-License-Identifier: Apache-2.0
"""Pages that are made of code and data, one module for each kind of page: `docs/generate.py`."""
