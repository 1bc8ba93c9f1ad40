"""containerd's own configuration: the lines that it needs for us, and what is wrong with a file.

All but ``reading`` is pure: from parsed documents and what is wanted to text and findings. What a
release of containerd does is in ``releases``, and nowhere else.
"""
