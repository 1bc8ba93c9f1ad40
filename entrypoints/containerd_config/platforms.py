"""Platforms as containerd writes them, such as ``linux/amd64``."""

import re

_PLATFORM = re.compile(r"[a-z0-9_.-]+/[a-z0-9_.-]+(/[a-z0-9_.-]+)?")

# What the kernel, and people, call the architectures of Go.
_ARCHITECTURES = {
    "aarch64": "arm64",
    "armhf": "arm/v7",
    "armv6l": "arm/v6",
    "armv7l": "arm/v7",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "loongarch64": "loong64",
    "x86-64": "amd64",
    "x86_64": "amd64",
}

# Variants that containerd leaves out, since they are what the architecture means without one.
_USUAL = {"arm64/v8": "arm64", "amd64/v1": "amd64", "arm": "arm/v7"}


def machine_platform(machine: str) -> str:
    """Give the platform of a Linux machine.

    Args:
        machine: its architecture as uname(2) has it.
    """
    return normalised(f"linux/{machine}")


def normalised(platform: str) -> str:
    """Bring a platform to the spelling that is compared.

    The rules are those of ``github.com/containerd/platforms``.

    Args:
        platform: whatever a file or a user says.
    """
    system, _, rest = platform.lower().partition("/")
    architecture, slash, variant = rest.partition("/")
    full = _ARCHITECTURES.get(architecture, architecture) + slash + variant
    return f"{system}/{_USUAL.get(full, full)}" if full else system


def matches(text: object, platform: str) -> bool:
    """Tell whether what a file says is a platform.

    Args:
        text: from the file; containerd takes the rest from the machine where it names an operating
            system alone, or an architecture alone.
        platform: the platform, normalised.
    """
    if not isinstance(text, str):
        return False
    system, _, architecture = platform.partition("/")
    found = normalised(text)
    if "/" not in found:
        return found == system or normalised(f"{system}/{found}") == f"{system}/{architecture}"
    return found == platform


def is_platform(text: str) -> bool:
    """Tell whether a text names an operating system and an architecture."""
    return _PLATFORM.fullmatch(text) is not None
