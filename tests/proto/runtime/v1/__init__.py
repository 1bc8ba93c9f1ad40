"""The CRI, version runtime.v1, as far as tests use it."""
