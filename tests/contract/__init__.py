"""Contracts of the ports, run on every implementation."""
