"""Tests with a file system that fails and hangs, as root."""
