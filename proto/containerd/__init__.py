"""Interfaces of containerd."""
