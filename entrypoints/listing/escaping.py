"""Names and labels on a terminal."""


def printable(text: str) -> str:
    """Escape what could steer a terminal: names and labels come from clients and images."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()
