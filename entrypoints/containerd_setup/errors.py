"""Why a file is left as it is."""


class RefusedError(Exception):
    """A file is not changed; the message says why, and what to do."""
