# SPDX-License-Identifier: Apache-2.0
"""(resource, world) -> outcome, one module per kind; knows neither kopf nor files."""
