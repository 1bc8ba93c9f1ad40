"""What containerd has recorded, and the commands that make it forget."""

from cvmfs_snapshotter.domain.containerd import (
    ContainerdRecords,
    KnownContainer,
    KnownSnapshot,
)

BASE = KnownSnapshot("k8s.io", "base", "k8s.io/1/base", "")
TOP = KnownSnapshot("k8s.io", "top", "k8s.io/2/top", "base")
POD = KnownSnapshot("k8s.io", "pod", "k8s.io/3/pod", "top")
OTHER = KnownSnapshot("k8s.io", "other", "k8s.io/4/other", "")
ELSEWHERE = KnownSnapshot("default", "top", "default/1/top", "base")


def records(*snapshots: KnownSnapshot) -> ContainerdRecords:
    """Give records with a container and an image on the topmost layer."""
    return ContainerdRecords(
        snapshots,
        (KnownContainer("k8s.io", "c 1", "pod"), KnownContainer("default", "c2", "top")),
        {("k8s.io", "top"): ("registry/image:tag",), ("k8s.io", "other"): ("other:1",)},
    )


def test_what_stands_on_a_snapshot_comes_first() -> None:
    """containerd removes nothing that has children; another namespace has its own."""
    known = records(BASE, POD, OTHER, ELSEWHERE, TOP)

    assert [POD, TOP, BASE] == list(known.above(BASE))
    assert [POD] == list(known.above(POD))
    assert [ELSEWHERE] == list(known.above(ELSEWHERE))


def test_a_circle_ends() -> None:
    """Damaged records must not be followed for ever."""
    one, two = KnownSnapshot("n", "1", "n/1", "2"), KnownSnapshot("n", "2", "n/2", "1")

    assert [two, one] == list(records(one, two).above(one))


def test_the_way_out() -> None:
    """Containers, images, snapshots, in that order, with what the shell would misread quoted."""
    known = records(BASE, TOP, POD, OTHER)

    assert [
        "crictl rm -f 'c 1'",
        "ctr -n k8s.io images rm registry/image:tag",
        "ctr -n k8s.io snapshots --snapshotter 's 1' rm pod",
        "ctr -n k8s.io snapshots --snapshotter 's 1' rm top",
        "ctr -n k8s.io snapshots --snapshotter 's 1' rm base",
    ] == list(known.ways_out(known.above(BASE), "s 1"))


def test_pods_go_after_their_containers() -> None:
    """The CRI removes a pod by another command than a container."""
    known = ContainerdRecords(
        (POD,),
        (
            KnownContainer("k8s.io", "p", "pod", sandbox=True),
            KnownContainer("k8s.io", "c", "pod"),
        ),
        {},
    )

    commands = list(known.ways_out([POD], "s"))
    assert ["crictl rm -f c", "crictl rmp -f p"] == commands[:2]


def test_the_way_out_elsewhere() -> None:
    """Outside of the kubelet's namespace there is no CRI to ask."""
    known = records(ELSEWHERE)

    assert [
        "ctr -n default tasks rm -f c2; ctr -n default containers rm c2",
        "ctr -n default snapshots --snapshotter s rm top",
    ] == list(known.ways_out(known.above(ELSEWHERE), "s"))
