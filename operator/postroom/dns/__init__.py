# SPDX-License-Identifier: Apache-2.0
"""Asking DNS about a sending domain and judging the answers; knows nothing of Kubernetes."""
