"""Checks of a node, each with the command that mends what it finds."""
