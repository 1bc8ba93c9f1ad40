"""The images that tests and the demo use, all built from one static busybox."""

from functools import cache
from typing import Final

from tests.harness import parts
from tests.harness.images import OCI, Image
from tests.harness.layers import (
    Entry,
    Layer,
    device,
    directory,
    file,
    hardlink,
    layer,
    opaque,
    symlink,
    whiteout,
)

APPLETS: Final = ("cat", "find", "id", "ls", "sh", "sleep", "stat", "true")

SHOW_A: Final = "cat /data/one /data/two /data/three /data/four /data/five /data/shared; ls -A /"
"""Shell command that prints a file of each layer of image A and the one that is overridden."""
SHOWN_BY_A: Final = (
    "one\ntwo\nthree\nfour\nfive\nshared of three\nbin\ndata\ndev\netc\nproc\nsys\ntmp\n"
)

BECOME_ROOT: Final = ("/data/su", "-c", "id -u")
"""Command that prints 0 in image A also for other users, where setuid programs work."""

SHOW_B: Final = "cat /data/kept /data/deep/new; ls -A / /data /data/deep"
"""Shell command that prints what image B has left of the files of its lower layers."""
SHOWN_BY_B: Final = (
    "kept\nnew\n"
    "/:\nbin\ndata\ndev\netc\nproc\nsys\ntmp\n\n"
    "/data:\ndeep\nkept\n\n"
    "/data/deep:\nnew\n"
)

SHOW_C: Final = "cat /data/twice /data/between; ls -A /data /"
"""Shell command that prints the files of the layers that image C repeats."""
SHOWN_BY_C: Final = (
    "twice\nbetween\n/:\nbin\ndata\ndev\netc\nproc\nsys\ntmp\n\n/data:\nbetween\ntwice\n"
)


@cache
def base(image: str) -> Layer:
    """Make the lowest layer of a sample: busybox, its names, and the usual directories.

    It differs from image to image, so that pulling one pulls nothing of another.

    root has no password, so that `su`, if it is setuid, needs none. The layer has the directories
    that a container runtime makes where they are missing (`/dev`, `/proc`, `/sys`), so that a
    listing of `/` shows the same with every runtime.
    """
    return layer(
        directory("bin"),
        file("bin/busybox", parts.find().busybox.read_bytes(), 0o755),
        *(symlink(f"bin/{name}", "busybox") for name in APPLETS),
        directory("data"),
        directory("dev"),
        directory("etc"),
        file("etc/passwd", "root::0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"),
        file("etc/group", "root:x:0:\nuser:x:1000:\n"),
        file("etc/hostname", ""),
        file("etc/image", f"{image}\n"),
        file("etc/hosts", ""),
        file("etc/resolv.conf", ""),
        directory("proc"),
        directory("sys"),
        directory("tmp", 0o1777),
    )


@cache
def image_a() -> Image:
    """Make image A: five layers without whiteouts, a file of each to be seen.

    The third layer overrides `/data/shared` of the second; the fourth has a setuid program and a
    device; the fifth a hard link, a symbolic link and a file of another owner.
    """
    return Image(
        "a:latest",
        (
            _with(base("a"), file("data/one", "one\n")),
            layer(
                directory("data"),
                file("data/two", "two\n"),
                file("data/shared", "shared of two\n"),
            ),
            layer(
                directory("data"),
                file("data/three", "three\n"),
                file("data/shared", "shared of three\n"),
            ),
            layer(
                directory("data"),
                file("data/four", "four\n"),
                device("data/null", 1, 3, 0o666),
                file("data/su", parts.find().busybox.read_bytes(), 0o4755),
            ),
            layer(
                directory("data"),
                file("data/five", "five\n"),
                hardlink("data/five-again", "data/five"),
                symlink("data/five-link", "five"),
                file("data/of-user", "of user\n", 0o640, uid=1000, gid=1000),
            ),
        ),
    )


@cache
def image_b() -> Image:
    """Make image B: three layers, the topmost with a whiteout and an opaque directory."""
    return Image(
        "b:latest",
        (
            base("b"),
            layer(
                directory("data"),
                file("data/kept", "kept\n"),
                file("data/deleted", "deleted\n"),
                directory("data/deep"),
                file("data/deep/old", "old\n"),
            ),
            layer(
                directory("data"),
                whiteout("data/deleted"),
                directory("data/deep"),
                opaque("data/deep"),
                file("data/deep/new", "new\n"),
            ),
        ),
        media_types=OCI,
    )


@cache
def image_c() -> Image:
    """Make image C: the empty layer three times, and another layer twice, with one between.

    Kernels refuse an overlay that names one lower directory twice, and images do repeat layers.
    """
    empty = layer()
    twice = layer(directory("data"), file("data/twice", "twice\n"))
    between = layer(directory("data"), file("data/between", "between\n"))
    return Image("c:latest", (base("c"), empty, twice, empty, between, twice, empty))


@cache
def relatives(count: int) -> tuple[Image, ...]:
    """Make images that share their two lowest layers and have the same layer on top.

    In between each has a layer of its own, so that the topmost one is in as many chains.
    """
    lowest = (
        base("relatives"),
        layer(directory("data"), file("data/common", "common\n")),
    )
    top = layer(directory("data"), file("data/top", "top\n"))
    return tuple(
        Image(
            f"relative-{number}:latest",
            (*lowest, layer(directory("data"), file("data/own", f"{number}\n")), top),
        )
        for number in range(count)
    )


SHOW_RELATIVE: Final = "cat /data/common /data/own /data/top"
"""Shell command that prints a file of each layer of one of `relatives`, its number in the second
line."""


@cache
def sandbox() -> Image:
    """Make the image of the container that holds a pod's namespaces: it sleeps."""
    return Image("sandbox:latest", (base("sandbox"),), command=("/bin/sleep", "1000000000"))


def _with(lower: Layer, *entries: Entry) -> Layer:
    return Layer((*lower.entries, *entries))
