"""Interfaces of our own."""
