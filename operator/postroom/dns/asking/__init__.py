# SPDX-License-Identifier: Apache-2.0
"""Asking DNS: transport, pacing, caches, the way to a zone's servers, and both points of view."""
