"""Newsletters that differ for every reader: gather, select, compose, dispatch."""

__version__ = "0.1.0"
