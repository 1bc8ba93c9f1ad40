"""Layers on their sources: CernVM-FS, or any other mounted file system.

This module imports nothing: the probe processes import it too, and they have to start quickly.
"""
