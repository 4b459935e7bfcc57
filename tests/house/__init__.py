# SPDX-License-Identifier: Apache-2.0
"""The house measured: its rooms and floors by the import graph, its texture by the syntax trees.

`make house` prints the figures beside their bars (`bars.yaml`), tests/unit/house holds the figures
to them, and `picture` draws the floor plan of docs/architecture.md.
"""
