"""Tests of what is particular to one adapter."""
