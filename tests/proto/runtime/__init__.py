"""Packages of the CRI."""
