"""Real containerd, a registry and a tree that looks like CVMFS, for end-to-end tests and the demo.

Everything that is started here lives below one base directory and is found again by it: nothing of
the machine's own containerd, if it has one, is used or touched.
"""
