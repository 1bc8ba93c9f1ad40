"""A containerd remote snapshotter for layers that lie unpacked on CernVM-FS.

This module imports nothing: the probe processes import it too, and they have to start quickly.
"""

__version__ = "0.1.0"
