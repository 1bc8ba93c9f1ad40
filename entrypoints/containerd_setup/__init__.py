"""Bringing the lines that containerd needs for us into its own files, and taking them out again.

``statements``, ``regions`` and ``editing`` are pure: from the text of a file to another text. The
lines themselves, and the judgement of the outcome, are those of ``containerd_config``.
"""
