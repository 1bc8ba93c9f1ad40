"""A FUSE file system that looks like CernVM-FS and fails on command.

`file_system` is what tests use, `faults` the vocabulary, `server` a program of its own: it alone
imports mfusepy, which needs libfuse.
"""
