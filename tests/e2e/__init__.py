"""Tests with real containerd, as root."""
