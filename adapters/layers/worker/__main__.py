"""The worker: reads requests from standard input and answers on standard output, line by line.

======  ==================================  ==================================================
``do``  beside it                           answer
======  ==================================  ==================================================
look    ``source``, ``layer``; ``below``:   ``diff_id`` and ``size`` (null if none is recorded),
        layers of the same source, checked  ``proven``, ``stamp``; if one is out of reach, as
        first, if there are any             for ``check``, ``layer`` being the last of all
check   ``sources``, ``layers`` (pairs of   ``proven``; if one is out of reach, ``at``, its
        index of source, and layer)         place in ``layers``, with ``reason`` and ``detail``
scan    ``source``, ``layer``               see ``scanning.Scan``
below   ``sources``, ``lowers`` (pairs as   ``directories``: path, mode, owner, group, time in
        above, or paths of unpacked ones),  nanoseconds of each that the chain shows
        ``paths``
root    ``source``, ``hold``                ``proven``, ``revision`` (null if not known). With
                                            ``hold`` the root stays open until the process ends
                                            or a further ``hold`` succeeds or fails
image   ``source``, ``path`` (names below   ``manifest``: what DUCC keeps of an image's manifest
        ``.metadata``)
survey  ``source``                          see ``surveying.survey``
======  ==================================  ==================================================

A source is ``root`` and ``repository``, which is null for a plain directory. A layer is the
digits of its digest. ``proven`` tells whether each source's repository said its own name. A
request that fails is answered with ``reason`` (a value of ``domain.layer.Reason``) and ``detail``.
``look`` and ``check`` note at the beginning of standard error which layer they come to.
"""

import contextlib
import json
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

from .below import Lower, Published, Unpacked, directories_below
from .holding import Held, revision
from .identity import require_alive, require_repository
from .ingest import Ingest
from .manifests import manifest_at
from .metadata import recorded
from .misses import FAILED, MissError, miss_of
from .opening import Layers, layer_directory, layers_directory, source_root
from .pulse import Pulse
from .scanning import MAX_DEPTH, Scan
from .surveying import survey

Report = Callable[[dict[str, object]], None]

_STANDARD_ERROR = 2

MEMORY_BYTES = 1 << 30
"""Address space of a worker: a directory of millions of names must not use up the node's."""


def look(request: dict[str, Any], report: Report) -> dict[str, object]:
    """Open and list the layers below, then look one layer up; see the table above."""
    source, below = request["source"], request.get("below", [])
    with source_root(source["root"]) as root:
        proven = _require_source(source, root)
        with _layers(source, root) as layers:
            for at, digits in enumerate(below):
                report({"at": at})
                with layer_directory(layers, digits) as layer:
                    layer.list_first()
            if below:
                report({"at": len(below)})
            return {**_looked(source, layers, request["layer"]), "proven": proven}


def _looked(source: dict[str, Any], layers: Layers, digits: str) -> dict[str, object]:
    with layer_directory(layers, digits) as layer:
        layer.list_first()
        # Once more for the files themselves: something else could be mounted further down.
        if source["repository"] is not None:
            require_repository(layer.files, layer.path, source["repository"])
        try:
            stamp = Ingest(layer.files).stamp(layer.files)
        except OSError as error:
            raise miss_of(error, layer.path) from error
        found = recorded(layer, digits)
        return {
            "diff_id": None if found is None else found.diff_id,
            "size": None if found is None else found.size,
            "stamp": stamp,
        }


def check(request: dict[str, Any], report: Report) -> dict[str, object]:
    """Open and list layers of any sources; see the table above."""
    proven = True
    layers: dict[int, Layers] = {}
    with ExitStack() as opened:
        for at, (number, digits) in enumerate(request["layers"]):
            report({"at": at})
            source = request["sources"][number]
            try:
                if number not in layers:
                    root = opened.enter_context(source_root(source["root"]))
                    proven &= _require_source(source, root)
                    layers[number] = opened.enter_context(_layers(source, root))
                with layer_directory(layers[number], digits) as layer:
                    layer.list_first()
            except MissError as miss:
                return {"proven": proven, "at": at, "reason": miss.reason, "detail": miss.detail}
    return {"proven": proven}


def scan(request: dict[str, Any], report: Report) -> dict[str, object]:
    """Read the names in a layer; see ``scanning.Scan``."""
    source = request["source"]
    path = source["root"]
    with source_root(path) as root:
        _require_source(source, root)
        with _layers(source, root) as layers, layer_directory(layers, request["layer"]) as layer:
            return Scan(report).run(layer.files, layer.path)


def below(request: dict[str, Any], report: Report) -> dict[str, object]:
    """Find what directories look like in a chain; see the table above."""
    pulse = Pulse(report)
    with ExitStack() as opened:
        lowers: list[Lower] = []
        for lower in request["lowers"]:
            pulse.beat()
            if isinstance(lower, str):
                lowers.append(Unpacked(opened.enter_context(source_root(lower))))
                continue
            source = request["sources"][lower[0]]
            root = opened.enter_context(source_root(source["root"]))
            layers = opened.enter_context(_layers(source, root))
            layer = opened.enter_context(layer_directory(layers, lower[1]))
            lowers.append(Published(layer.files))
        try:
            found = [
                [path, stat.S_IMODE(d.st_mode), d.st_uid, d.st_gid, d.st_mtime_ns]
                for path, d in directories_below(request["paths"], lowers, pulse.beat)
            ]
        except OSError as error:
            raise miss_of(error, "a lower layer") from error
    return {"directories": found}


_HELD = Held()


def identify(request: dict[str, Any], _: Report) -> dict[str, object]:
    """Ask a source who it is, and hold its root if that is wanted; see the table above."""
    source, hold = request["source"], request["hold"]
    path = source["root"]
    try:
        with source_root(path) as root:
            proven = _require_source(source, root)
            if hold:
                _HELD.take(root, path)
            known = None if source["repository"] is None else revision(root)
            return {"proven": proven, "revision": known}
    except MissError:
        # What is dead could not be unmounted, and so not be mounted again, while it is held.
        if hold:
            _HELD.let_go()
        raise


def image(request: dict[str, Any], _: Report) -> dict[str, object]:
    """Read the manifest of an image; see the table above."""
    source = request["source"]
    with source_root(source["root"]) as root:
        _require_source(source, root)
        content = manifest_at(root, source["root"], request["path"])
    return {"manifest": content.decode(errors="surrogateescape")}


def surveyed(request: dict[str, Any], _: Report) -> dict[str, object]:
    """Look a source over; see ``surveying.survey``."""
    source = request["source"]
    with source_root(source["root"]) as root:
        return {"proven": _require_source(source, root), **survey(root)}


def _layers(source: dict[str, Any], root: int) -> AbstractContextManager[Layers]:
    # On CVMFS nobody writes but the publisher, whatever the modes are.
    return layers_directory(root, source["root"], protected=source["repository"] is None)


def _require_source(source: dict[str, Any], root: int) -> bool:
    if source["repository"] is None:
        require_alive(root, source["root"])
        return True
    return require_repository(root, source["root"], source["repository"])


_OPERATIONS = {
    "look": look,
    "check": check,
    "scan": scan,
    "below": below,
    "root": identify,
    "image": image,
    "survey": surveyed,
}


def answer(request: dict[str, Any], report: Report) -> dict[str, object]:
    """Carry a request out.

    Args:
        request: see the table above.
        report: called with signs of progress.

    Returns:
        The answer; whatever goes wrong is one too.
    """
    # Where a chain is looked at, its lowest layer comes first.
    place: dict[str, Any] = {"at": 0} if request.get("below") and request["do"] == "look" else {}

    def told(sign: dict[str, Any]) -> None:
        place.update({key: value for key, value in sign.items() if key == "at"})
        report(sign)

    try:
        return _OPERATIONS[request["do"]](request, told)
    except MissError as miss:
        return {"reason": miss.reason, "detail": miss.detail, **place}
    except BrokenPipeError:
        raise
    except MemoryError:
        detail = f"it takes more than {MEMORY_BYTES} bytes to look at"
    except Exception as error:  # noqa: BLE001 - one bad request must not cost the process
        detail = f"the probe itself failed: {type(error).__name__}"
    return {"reason": FAILED, "detail": detail, **place}


def main() -> None:
    """Serve until standard input ends, which is when the daemon does."""
    _limit()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        number = request["id"]
        short = request["do"] in _NOTING
        report = partial(_note, number) if short else partial(_say, number, "progress")
        _say(number, "answer", answer(request, report))


_NOTING = {"look", "check"}
"""What takes so short that nobody waits longer because of its progress."""


def _note(number: int, content: dict[str, Any]) -> None:
    # By hand, without an encoder: for each layer of a chain.
    line = b'{"id": %d, "progress": {"at": %d}}\n' % (number, content["at"])
    with contextlib.suppress(OSError):
        os.pwrite(_STANDARD_ERROR, line, 0)


def _say(number: object, kind: str, content: dict[str, object]) -> None:
    sys.stdout.write(json.dumps({"id": number, kind: content}) + "\n")
    sys.stdout.flush()


def _ignore_signals() -> None:
    # `systemctl kill` sends to every process of a service what is meant for the daemon.
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY or most > MEMORY_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, most))
    # A scan holds a descriptor for each level.
    enough, (_, most) = 2 * MAX_DEPTH, resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or most > enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, most))
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    _ignore_signals()
    try:
        main()
    except BrokenPipeError:
        # The daemon is gone, and with it everybody who could read an error.
        os._exit(1)
