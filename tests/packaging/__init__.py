"""Tests of what is shipped: sdist, wheel, generated code, versions."""
