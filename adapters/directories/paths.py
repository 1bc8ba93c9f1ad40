"""Which paths can stand in the options of an overlay mount."""

_SPECIAL = {":": "a colon", ",": "a comma", "\\": "a backslash", "\n": "a newline", "\0": "a NUL"}


def require_plain_path(path: str) -> None:
    r"""Refuse a root directory whose path would have to be escaped in mount options.

    overlayfs separates lower directories by colons and mount(2) options by commas; both would need
    backslashes, which clients of containerd do not expect in what it hands on.

    Args:
        path: the root directory.

    Raises:
        ValueError: it is not absolute, holds one of ``:`` ``,`` ``\``, a newline or a NUL, or is
            not UTF-8, which gRPC demands.
    """
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is not an absolute path")
    for character, name in _SPECIAL.items():
        if character in path:
            raise ValueError(
                f"{path!r} holds {name}, which has a meaning of its own in mount options"
            )
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{path!r} is not UTF-8") from error
