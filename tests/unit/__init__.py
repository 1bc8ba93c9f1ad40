"""Tests that need no process, no network and no root privilege."""
