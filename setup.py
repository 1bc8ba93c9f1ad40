"""The list of packages; everything else about the build is in pyproject.toml."""

from setuptools import find_packages, setup

NAME = "cvmfs_snapshotter"
FOLDERS = {"adapters", "domain", "entrypoints", "migrations", "proto"}

setup(packages=[NAME, *(f"{NAME}.{p}" for p in find_packages() if p.split(".")[0] in FOLDERS)])
