"""Twenty pulls at a time: one committed snapshot for each layer in its place, and no error."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import TypeVar

import pytest

from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2
from tests.harness import samples
from tests.harness.images import Image
from tests.harness.node import Node
from tests.harness.registry import Registry
from tests.harness.snapshots import Snapshots

T = TypeVar("T")
R = TypeVar("R")

COUNT = 20
TARGET = "containerd.io/snapshot.ref"

only_transfer = pytest.mark.parametrize("setup", ["2.1-transfer"], indirect=True)
one_version = pytest.mark.parametrize("setup", ["1.6", "2.1"], indirect=True)


@pytest.fixture(scope="module")
def images(registry: Registry) -> tuple[Image, ...]:
    """Twenty images with layers in common, in the registry."""
    images = samples.relatives(COUNT)
    for image in images:
        registry.push(image)
    return images


def _at_once(call: Callable[[T], R], arguments: Sequence[T]) -> list[R]:
    """Call something with each of the arguments, all at the same time; give the results.

    Raises:
        Exception: what the first one that failed has raised.
    """
    together = threading.Barrier(len(arguments))

    def wait_and_call(argument: T) -> R:
        together.wait()
        return call(argument)

    with ThreadPoolExecutor(len(arguments)) as threads:
        return list(threads.map(wait_and_call, arguments))


def _committed(node: Node) -> list[snapshots_pb2.Info]:
    return [each for each in node.daemon.infos() if each.kind == snapshots_pb2.COMMITTED]


def _is_one_for_each_place(node: Node, images: tuple[Image, ...]) -> None:
    """Check that there is a committed snapshot for each chain ID, and only one under a parent."""
    places = Counter((each.parent, each.labels[TARGET]) for each in _committed(node))
    assert {1} == set(places.values())
    expected = {chain for image in images for chain in image.chain_ids}
    assert expected == {target for _, target in places}


@pytest.mark.parametrize("published", [4, 2, 0])
def test_pulls_through_the_cri(node: Node, images: tuple[Image, ...], published: int) -> None:
    """All twenty images are there, whatever part of their layers is in place."""
    for image in images:
        node.repository.publish(*image.layers[:published])
    node.registry.reset()
    references = [node.registry.reference(image) for image in images]

    ids = _at_once(node.containerd.cri.pull, references)

    assert [image.config_digest for image in images] == ids
    _is_one_for_each_place(node, images)
    sent = node.registry.downloaded()
    layers = {layer.digest for image in images for layer in image.layers[:published]}
    assert {} == {digest: size for digest, size in sent.items() if digest in layers}
    for number in (0, COUNT - 1):
        result = node.containerd.cri.run(references[number], "sh", "-c", samples.SHOW_RELATIVE)
        assert (0, f"common\n{number}\ntop\n") == (result.code, result.stdout)


@only_transfer
def test_pulls_with_ctr(node: Node, images: tuple[Image, ...]) -> None:
    """`ctr images pull` in four namespaces, beside each other and beside the CRI."""
    some = images[:5]
    for image in some:
        node.repository.publish(*image.layers)
    snapshotter = node.containerd.snapshotter
    references = [node.registry.reference(image) for image in some]
    namespaces = ["k8s.io", "default", "one", "two"]

    def pull(where: tuple[str, str]) -> None:
        namespace, reference = where
        if namespace == "k8s.io":
            node.containerd.cri.pull(reference)
        else:
            node.containerd.ctr(namespace).pull(reference, snapshotter)

    _at_once(pull, list(product(namespaces, references)))

    _is_one_for_each_place(node, some)
    for namespace in namespaces:
        known = node.containerd.ctr(namespace).snapshots(snapshotter)
        assert {chain for image in some for chain in image.chain_ids} <= set(known)


class Unpackers:
    """Twenty clients that unpack by themselves, without knowing of one another."""

    def __init__(self, node: Node, namespaces: list[str]) -> None:
        """Connect them, each to the next of the namespaces."""
        self._node = node
        self._stack = ExitStack()
        self._clients = []
        for number in range(COUNT):
            namespace = namespaces[number % len(namespaces)]
            client = Snapshots.connect(
                node.containerd.socket, namespace, node.containerd.snapshotter
            )
            self._stack.callback(client.close)
            self._clients.append(client)

    def close(self) -> None:
        """Give up their connections."""
        self._stack.close()

    def unpack(self, images: tuple[Image, ...]) -> list[list[str]]:
        """Let each unpack the next of the images."""

        def unpack(number: int) -> list[str]:
            image, scratch = images[number % len(images)], self._scratch(number)
            client = self._clients[number]
            return client.unpack(image, "reference", scratch, unique=str(number))

        return _at_once(unpack, range(COUNT))

    def _scratch(self, number: int) -> Path:
        path = self._node.containerd.directory / f"scratch-{number}"
        path.mkdir()
        return path


@pytest.fixture(params=[["one"], ["one", "two", "three", "four"]], ids=["one", "four"])
def unpackers(node: Node, request: pytest.FixtureRequest) -> Iterator[Unpackers]:
    """Twenty of them, in one namespace or in four."""
    made = Unpackers(node, request.param)
    yield made
    made.close()


@one_version
@pytest.mark.parametrize("different", [1, COUNT], ids=["same", "relatives"])
def test_unpackers_that_nothing_suppresses(
    node: Node, images: tuple[Image, ...], unpackers: Unpackers, different: int
) -> None:
    """Published layers: each of the twenty hears that each layer is there."""
    chosen = images[:different]
    for image in chosen:
        node.repository.publish(*image.layers)

    outcomes = unpackers.unpack(chosen)

    assert [["remote"] * 4] * COUNT == outcomes
    _is_one_for_each_place(node, chosen)


@pytest.mark.parametrize("setup", ["1.6"], indirect=True)
def test_unpackers_of_layers_that_are_not_published(
    node: Node, images: tuple[Image, ...], unpackers: Unpackers
) -> None:
    """From the first miss on each unpacks for itself, and the first to commit has made it."""
    chosen = images[:1]
    node.repository.publish(*chosen[0].layers[:2])

    outcomes = unpackers.unpack(chosen)

    assert {("remote", "remote")} == {(lowest, second) for lowest, second, *_ in outcomes}
    # A local snapshot has a name of its own in each namespace.
    names = [each.name for each in _committed(node)]
    namespaces = {name.split("/")[0] for name in names if "/" in name}
    top = [name for name in names if name.endswith(chosen[0].chain_ids[-1])]
    assert len(namespaces) == len(top)
    # The work of those who came too late goes with the next garbage collection.
    node.containerd.ctr().run("content", "prune", "references")
    assert {snapshots_pb2.COMMITTED} == {each.kind for each in node.daemon.infos()}
