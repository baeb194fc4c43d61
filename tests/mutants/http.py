# SPDX-License-Identifier: MIT
"""Planted bugs of the HTTP family."""
MUTANTS = []
