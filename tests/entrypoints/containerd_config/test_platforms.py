"""Platforms, in the spellings of the kernel, of containerd and of people."""

import pytest

from cvmfs_snapshotter.entrypoints.containerd_config.platforms import (
    is_platform,
    machine_platform,
    matches,
)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("armv7l", "linux/arm/v7"),
        ("ppc64le", "linux/ppc64le"),
        ("riscv64", "linux/riscv64"),
    ],
)
def test_platform_of_a_machine(machine: str, expected: str) -> None:
    """What uname says becomes what containerd says."""
    assert expected == machine_platform(machine)


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("Linux/x86_64", "linux/amd64"),
        ("linux", "linux/amd64"),
        ("amd64", "linux/amd64"),
        ("x86-64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
    ],
)
def test_the_same_platform(text: str, platform: str) -> None:
    """Different words for one platform match."""
    assert matches(text, platform)


@pytest.mark.parametrize(
    "text", ["linux/arm64", "windows/amd64", "linux/amd64/v3", "arm64", "windows", "", None, 5, []]
)
def test_another_platform(text: object) -> None:
    """Whatever is not this platform does not match."""
    assert not matches(text, "linux/amd64")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", True),
        ("linux/arm/v7", True),
        ("linux", False),
        ("linux/", False),
        ("linux/a/b/c", False),
        ("linux/amd 64", False),
    ],
)
def test_what_is_a_platform(text: str, *, expected: bool) -> None:
    """It has an operating system and an architecture, and at most a variant."""
    assert expected is is_platform(text)
