"""What runs in a probe process: whatever touches a source and may hang there for ever.

The modules of this package import the standard library and one another, nothing else.
"""
