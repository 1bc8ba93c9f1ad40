"""The mounts answer for every shape of a chain, and the page that options must fit."""

import attrs
import pytest

from cvmfs_snapshotter.domain.companions import Companion
from cvmfs_snapshotter.domain.errors import FailedPreconditionError
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.mounts import (
    OPTION_BYTES,
    Layout,
    Mount,
    fits,
    lowers,
    mounts_of,
    option_bytes,
)
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot

LAYOUT = Layout("/r", ("index=off",))


def snapshot(identifier: int, kind: Kind = Kind.COMMITTED, digest: str = "") -> Snapshot:
    """Make a snapshot, remote if it gets a digest."""
    return Snapshot(
        identifier=identifier,
        name=f"n{identifier}",
        parent_identifier=0,
        parent="",
        kind=kind,
        created_at=0,
        updated_at=0,
        labels={},
        layer=Layer("s", Digest(digest * 64)) if digest else None,
    )


ACTIVE = snapshot(9, Kind.ACTIVE)
VIEW = snapshot(9, Kind.VIEW)
LOCAL_1, LOCAL_2 = snapshot(1), snapshot(2)
REMOTE_3, REMOTE_4 = snapshot(3, digest="a"), snapshot(4, digest="b")
UPPER = ("workdir=/r/snapshots/9/work", "upperdir=/r/snapshots/9/fs")


def overlay(*options: str) -> tuple[Mount, ...]:
    """Make the overlay mount with these options."""
    return (Mount("overlay", "overlay", ("index=off", *options)),)


@pytest.mark.parametrize(
    ("top", "chain", "expected"),
    [
        (ACTIVE, (), (Mount("bind", "/r/snapshots/9/fs", ("rw", "rbind")),)),
        (VIEW, (), (Mount("bind", "/r/snapshots/9/fs", ("ro", "rbind")),)),
        (VIEW, (LOCAL_1,), (Mount("bind", "/r/snapshots/1/fs", ("ro", "rbind")),)),
        (ACTIVE, (LOCAL_1,), overlay(*UPPER, "lowerdir=/r/l/1")),
        (VIEW, (LOCAL_2, LOCAL_1), overlay("lowerdir=/r/l/2:/r/l/1")),
        (ACTIVE, (LOCAL_2, LOCAL_1), overlay(*UPPER, "lowerdir=/r/l/2:/r/l/1")),
        (VIEW, (REMOTE_3,), overlay("lowerdir=/r/l/s:/r/l/3")),
        (ACTIVE, (REMOTE_3,), overlay(*UPPER, "lowerdir=/r/l/s:/r/l/3")),
        (VIEW, (REMOTE_4, REMOTE_3), overlay("lowerdir=/r/l/s:/r/l/4:/r/l/3")),
        (VIEW, (LOCAL_2, REMOTE_3), overlay("lowerdir=/r/l/2:/r/l/s:/r/l/3")),
        (VIEW, (REMOTE_3, LOCAL_1), overlay("lowerdir=/r/l/s:/r/l/3:/r/l/1")),
        (
            ACTIVE,
            (LOCAL_2, REMOTE_4, LOCAL_1, REMOTE_3),
            overlay(*UPPER, "lowerdir=/r/l/2:/r/l/s:/r/l/4:/r/l/1:/r/l/3"),
        ),
    ],
)
def test_mounts_by_kind_and_chain(
    top: Snapshot, chain: tuple[Snapshot, ...], expected: tuple[Mount, ...]
) -> None:
    """Every kind over every chain has one answer; a remote layer is never bound or alone."""
    assert expected == mounts_of(top, chain, LAYOUT)


def companion(snapshot: Snapshot, number: int, *, above: bool, below: bool) -> Snapshot:
    """Give a remote snapshot a companion."""
    return attrs.evolve(snapshot, companion=Companion(number, above, below))


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        (
            (companion(REMOTE_3, 70, above=True, below=True),),
            "/r/l/s:/r/l/70a:/r/l/3:/r/l/70b",
        ),
        ((companion(REMOTE_3, 70, above=True, below=False),), "/r/l/s:/r/l/70a:/r/l/3"),
        (
            (
                LOCAL_2,
                companion(REMOTE_4, 71, above=True, below=True),
                LOCAL_1,
                companion(REMOTE_3, 70, above=True, below=False),
            ),
            "/r/l/2:/r/l/s:/r/l/71a:/r/l/4:/r/l/71b:/r/l/1:/r/l/70a:/r/l/3",
        ),
        (
            (
                companion(snapshot(5, digest="a"), 70, above=True, below=True),
                companion(REMOTE_3, 70, above=True, below=True),
            ),
            "/r/l/s:/r/l/70a:/r/l/5:/r/l/70b",
        ),
    ],
)
def test_companions_lie_above_and_below_their_layer(
    chain: tuple[Snapshot, ...], expected: str
) -> None:
    """Each with its own layer, and once where the layer occurs twice."""
    assert expected == ":".join(lowers(chain, LAYOUT))


def test_companions_count_for_the_page() -> None:
    """128 layers fit, every one of them with a companion on both sides."""
    layout = Layout("/var/lib/containerd-cvmfs-grpc", ("index=off", "userxattr"))
    chain = tuple(
        attrs.evolve(
            snapshot(1000 + n),
            layer=Layer("s", Digest(f"{n:064x}")),
            companion=Companion(2000 + n, above=True, below=True),
        )
        for n in range(128)
    )

    assert fits(chain, layout)
    assert not fits(
        (
            *chain,
            *(
                attrs.evolve(s, layer=Layer("s", Digest(f"{n:064x}")))
                for n, s in enumerate(chain * 3, 1000)
            ),
        ),
        layout,
    )


def test_a_layer_that_occurs_twice_is_stacked_where_it_is_topmost() -> None:
    """The kernel refuses a directory that occurs twice among the lower ones."""
    again = snapshot(5, digest="a")
    chain = (again, REMOTE_4, REMOTE_3)

    assert ("/r/l/s", "/r/l/5", "/r/l/4") == lowers(chain, LAYOUT)


def test_one_remote_layer_three_times_still_has_a_local_lower() -> None:
    """An overlay is never made of a source's directories alone."""
    chain = (snapshot(7, digest="a"), snapshot(6, digest="a"), REMOTE_3)

    assert overlay("lowerdir=/r/l/s:/r/l/7") == mounts_of(VIEW, chain, LAYOUT)


def test_local_snapshots_are_never_taken_for_one_another() -> None:
    """Only a published layer can occur twice."""
    assert ("/r/l/2", "/r/l/1") == lowers((LOCAL_2, LOCAL_1), LAYOUT)


def test_bytes_are_counted_as_containerd_passes_them() -> None:
    """Short options are passed whole; long ones without the directory that lowers share."""
    few = ("/root/l/1", "/root/l/2")
    many = tuple(f"/root/l/{i}" for i in range(1000, 1400))

    assert len("index=off,lowerdir=/root/l/1:/root/l/2") == option_bytes(
        ["index=off", f"lowerdir={':'.join(few)}"], few
    )
    assert len("lowerdir=") + 400 * 4 + 399 == option_bytes([f"lowerdir={':'.join(many)}"], many)


def test_every_count_of_layers_fits_or_is_refused() -> None:
    """The limit is met exactly: the last chain that fits needs no more than the page."""
    layout = Layout("/var/lib/containerd-cvmfs-grpc", ("index=off",))
    chain: tuple[Snapshot, ...] = ()
    number = 10**6
    while fits(chain, layout):
        number += 1
        chain = (snapshot(number), *chain)
    top = snapshot(2**63 - 1, Kind.ACTIVE)
    options = mounts_of(top, chain[1:], layout)[0].options

    assert 400 < len(chain) < 500
    assert option_bytes(options, lowers(chain[1:], layout)) <= OPTION_BYTES
    with pytest.raises(FailedPreconditionError, match=f"{len(chain)} lower directories, whose"):
        mounts_of(top, chain, layout)


def test_the_kernel_takes_500_lower_directories() -> None:
    """One more is refused here, because the mount would fail for ever."""
    chain = tuple(snapshot(n) for n in range(501, 0, -1))

    assert fits(chain[1:], LAYOUT)
    with pytest.raises(FailedPreconditionError, match="501 lower directories; the kernel"):
        mounts_of(ACTIVE, chain, LAYOUT)


def test_a_root_with_128_layers_fits() -> None:
    """containerd's own test suite mounts 128 layers."""
    chain = tuple(snapshot(i) for i in range(128, 0, -1))

    assert fits(chain, Layout("/var/lib/containerd-cvmfs-grpc", ("index=off", "userxattr")))
