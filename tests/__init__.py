"""Tests of the snapshotter."""
