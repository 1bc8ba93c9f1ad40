"""Whether containerd finds the daemon."""

import posixpath
from collections.abc import Iterator, Mapping

from . import lines
from .documents import Effective
from .finding import Finding, setting, settings, table_of
from .names import SNAPSHOTTER
from .toml import shown as shown_value
from .toml import strings, table
from .wanted import Wanted


def check_proxy(found: Effective, wanted: Wanted) -> Iterator[Finding]:
    """Judge the proxy plugin.

    Args:
        found: what containerd makes of its files.
        wanted: the daemon to find.

    Yields:
        What keeps containerd from finding and using it.
    """
    if SNAPSHOTTER not in found.proxies:
        yield _missing(found, wanted)
        return
    ours = table(found.proxies[SNAPSHOTTER])
    where = table_of(*lines.PROXY)
    kind = ours.get("type")
    if kind != "snapshot":
        yield Finding(
            "proxy-type",
            f"the proxy plugin has {_said('type', kind)}, so that it is no snapshotter",
            where,
            add=(setting("type", "snapshot"),),
        )
    address = ours.get("address")
    if not _same_path(address, wanted.address):
        yield Finding(
            "proxy-address",
            f"the proxy plugin has {_said('address', address)}, where the daemon does not listen",
            where,
            add=(setting("address", wanted.address),),
        )
    root = table(ours.get("exports")).get("root")
    if not _same_path(root, wanted.root):
        yield Finding(
            "proxy-root",
            f"the proxy plugin exports {_said('root', root)}: the kubelet measures another file "
            "system than that of the images, or none",
            table_of(*lines.EXPORTS),
            add=(setting("root", wanted.root),),
        )
    if wanted.release.capabilities:
        yield from _capabilities(ours, wanted)


def _missing(found: Effective, wanted: Wanted) -> Finding:
    where = table_of(*lines.PROXY)
    add = settings(lines.proxy(wanted))
    for name, other in found.proxies.items():
        if _same_path(table(other).get("address"), wanted.address):
            return Finding(
                "proxy-name",
                f"the proxy plugin of the daemon is called {name!r}; nerdctl knows a snapshotter "
                f"of CVMFS by the name {SNAPSHOTTER!r} only",
                where,
                add=add,
                remove=(table_of("proxy_plugins", name),),
            )
    return Finding("proxy-missing", "containerd is not told about the daemon", where, add=add)


def _capabilities(ours: Mapping[str, object], wanted: Wanted) -> Iterator[Finding]:
    effects = {
        "remap-ids": "containerd leaves it to the snapshotter to map owners for user namespaces; "
        "files in such pods have the wrong ones",
        "only-remap-ids": "containerd refuses pods with a user namespace",
    }
    if wanted.release.parallel:
        effects["rebase"] = (
            "containerd asks for layers without their parents; each is a miss, or stands on a "
            "broken chain"
        )
    if wanted.release.staging:
        effects["rebase"] += ", if the daemon is not configured with staged = true"
    for capability in strings(ours.get("capabilities")):
        if capability in effects:
            yield Finding(
                f"capability-{capability}",
                f"the proxy plugin says that it can {capability!r}: {effects[capability]}",
                table_of(*lines.PROXY),
                remove=(f'"{capability}" from capabilities',),
            )


def _same_path(found: object, wanted: str) -> bool:
    return isinstance(found, str) and _plain(found) == _plain(wanted)


def _plain(path: str) -> str:
    plain = posixpath.normpath(path)
    # The one is a link to the other on every system with systemd.
    return plain.removeprefix("/var") if plain.startswith("/var/run/") else plain


def _said(key: str, value: object) -> str:
    return f"no {key}" if value is None else f"{key} {shown_value(value)}"
