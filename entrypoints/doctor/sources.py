"""The sources: mounted, the right repository, answering, and as the client should serve them."""

from collections.abc import Iterator, Sequence

from cvmfs_snapshotter.adapters.layers.inspection import Survey, survey
from cvmfs_snapshotter.adapters.layers.prober import Prober
from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.domain.layer import Miss, Reason
from cvmfs_snapshotter.domain.policy import Ownership

from .mounts import Mounted
from .result import Result, failure, passed, quoted, warning

_MANY_CLEANUPS = 24
"""Cleanups of the cache in 24 hours from which on it is too small: more than one an hour."""

_MEGABYTE = 1 << 20
"""What CVMFS_QUOTA_LIMIT counts in."""

_SMALL_LIMIT = 10_000
"""Megabytes of a cache below which it is small. A cleanup leaves half of it, which is then less
than what a few images of some gigabytes read; the client's own default is 4000."""

_GOOD_LIMIT = 20_000
"""Megabytes that are proposed at least."""


def check_source(
    prober: Prober, source: SourceSettings, mounts: Sequence[Mounted]
) -> Iterator[Result]:
    """Check all about a source.

    Args:
        prober: puts requests to the probe processes.
        source: the source.
        mounts: those of this process.
    """
    found = survey(prober, source, source.lookup_deadline)
    yield check_reached(source, found)
    yield check_expiry(source, mounts)
    if isinstance(found, Miss):
        return
    if source.kind is SourceKind.CVMFS:
        yield check_cache(source, found)
        yield check_errors(source, found)
    yield check_owners(source, found)


def check_reached(source: SourceSettings, found: Survey | Miss) -> Result:
    """Tell whether a source answers, and is what it should be.

    Args:
        source: the source.
        found: what a look at it came to.
    """
    name = f"source {source.name}"
    if isinstance(found, Miss):
        return failure(name, f"{found.reason.value}: {found.detail}", *ways(source, found.reason))
    if source.kind is SourceKind.DIRECTORY:
        return passed(name, f"{source.path} answers, on {found.kind or 'a file system'}")
    revision = found.attributes.get("revision")
    known = f", revision {revision}" if revision else ""
    if not found.proven:
        return warning(
            name,
            f"{source.path} answers, and its client does not let user.fqrn be read: that it is "
            f"{source.repository} is assumed",
            f"echo 'CVMFS_XATTR_PROTECTED_XATTRS=' >> {_local(source)}",
            f"cvmfs_config reload {source.repository}",
        )
    return passed(name, f"{source.path} is {source.repository}{known}")


def ways(source: SourceSettings, reason: Reason) -> Sequence[str]:
    """Give commands that mend a source, or show what is wrong with it.

    Args:
        source: the source.
        reason: why it does not answer.
    """
    path = quoted(source.path)
    if source.kind is SourceKind.DIRECTORY:
        return (f"ls -ld {path}/.layers", f"findmnt --target {path}")
    repository = source.repository
    match reason:
        case Reason.NOT_MOUNTED:
            return (
                f"cvmfs_config probe {repository}",
                f"mount -t cvmfs {repository} {path}",
            )
        case Reason.WRONG_REPOSITORY:
            return (f"findmnt --target {path}",)
        case Reason.DISCONNECTED:
            return (
                f"cvmfs-snapshotter release {quoted(source.name)}",
                f"umount -l {path}",
                f"cvmfs_config probe {repository}",
            )
        case Reason.LOOP:
            return (f"findmnt --target {path} -o TARGET,PROPAGATION",)
    return (f"cvmfs_config probe {repository}", f"cvmfs_config stat -v {repository}")


def _local(source: SourceSettings) -> str:
    return f"/etc/cvmfs/config.d/{source.repository}.local"


def check_expiry(source: SourceSettings, mounts: Sequence[Mounted]) -> Result:
    """Tell whether an automounter may unmount a source while containers stand on it.

    An overlay does not keep its lower file systems in use for autofs (cvmfs issues 3151 and 3402).

    Args:
        source: the source.
        mounts: those of this process.
    """
    name = f"expiry {source.name}"
    parent = source.path.rpartition("/")[0] or "/"
    automounter = next(
        (m for m in mounts if m.kind == "autofs" and m.at in {source.path, parent}), None
    )
    if automounter is None:
        return passed(name, f"no automounter is at {source.path}")
    timeout = automounter.option("timeout")
    if timeout in {None, "0"}:
        return passed(name, f"the automounter at {automounter.at} lets nothing expire")
    if source.keep_mounted:
        return passed(
            name,
            f"the automounter at {automounter.at} lets mounts expire after {timeout} s; the "
            "daemon holds this one (keep_mounted = true)",
        )
    return warning(
        name,
        f"the automounter at {automounter.at} lets mounts expire after {timeout} s, and "
        "keep_mounted is false: containers lose their files then",
        f"grep -rn -e {quoted(automounter.at)} /etc/auto.master /etc/auto.master.d",
        advice=(
            f"set keep_mounted = true for source {source.name}, and reload cvmfs-snapshotter",
            f"or add --timeout=0 to the line of {automounter.at} there, and restart autofs",
        ),
    )


def check_cache(source: SourceSettings, found: Survey) -> Result:
    """Tell whether the client's cache is large enough.

    Args:
        source: the source.
        found: how it is served.
    """
    name = f"cache {source.name}"
    cleanups = found.number("ncleanup24")
    limit = None if found.limit is None else found.limit // _MEGABYTE
    size = "no limit of the cache is known" if limit is None else f"the cache has {limit} MB"
    often = "how often it was cleaned up is not known"
    if cleanups is not None:
        often = f"it was cleaned up {cleanups} times in 24 hours"
    if cleanups is not None and cleanups > _MANY_CLEANUPS:
        return _enlarge(
            source,
            f"{size}, and {often}: it is too small for what runs here, and files are fetched "
            "again and again",
            limit,
        )
    if limit is not None and limit < _SMALL_LIMIT:
        return _enlarge(
            source, f"{size}, half of which a cleanup leaves, and {often}: few images fit", limit
        )
    if cleanups is None:
        return warning(name, f"{size}; {often}", f"cvmfs_config stat -v {source.repository}")
    return passed(name, f"{size}; {often}")


def _enlarge(source: SourceSettings, what: str, limit: int | None) -> Result:
    name = f"cache {source.name}"
    where = f"cvmfs_config showconfig {source.repository} | grep -E 'CVMFS_(QUOTA|CACHE)'"
    if limit is None:
        # Whatever value is proposed might be smaller than the present one.
        return warning(
            name, what, where, advice=("set CVMFS_QUOTA_LIMIT to twice what it is, in MB",)
        )
    wanted = max(2 * limit, _GOOD_LIMIT)
    return warning(
        name,
        what,
        where,
        # In default.local it could be less than what other repositories have now.
        f"echo 'CVMFS_QUOTA_LIMIT={wanted}' >> {_local(source)}",
        f"cvmfs_config reload {source.repository}",
        advice=(
            f"the disk of the cache must have room for {wanted} MB",
            "a cache that repositories share keeps its limit until all of them were unmounted",
            "repositories that share a cache should have the same limit",
        ),
    )


def check_errors(source: SourceSettings, found: Survey) -> Result:
    """Tell whether the client had input/output errors.

    Args:
        source: the source.
        found: how it is served.
    """
    name = f"errors {source.name}"
    errors = found.number("nioerr")
    if errors is None:
        return warning(
            name,
            "how many input/output errors there were is not known",
            f"cvmfs_config stat -v {source.repository}",
        )
    if errors:
        where = ", ".join(
            f"{what} {found.attributes[what]}"
            for what in ("host", "proxy")
            if found.attributes.get(what)
        )
        return warning(
            name,
            f"{errors} input/output errors since it was mounted"
            + (f" ({where})" if where else ""),
            f"cvmfs_config stat -v {source.repository}",
            f"cvmfs_talk -i {source.repository} host info",
        )
    return passed(name, "no input/output errors since it was mounted")


def check_owners(source: SourceSettings, found: Survey) -> Result:
    """Tell whether files show the owners that their images give them.

    Directories that are root's in any image are looked at.

    Args:
        source: the source.
        found: how it is served.
    """
    name = f"owners {source.name}"
    others = [owner for owner in found.owners if owner]
    if not found.owners:
        return warning(
            name,
            "no layer was found whose owners could be looked at",
            f"ls {quoted(source.path)}/.layers",
            advice=(
                "if it has no .layers, it is no repository of unpacked images: name another one",
                "if nothing is published there yet, nothing has to be done",
            ),
        )
    if not others:
        return passed(name, "directories of root belong to root")
    claimed = found.client in others and 0 not in found.owners
    if claimed:
        return _owners(
            source,
            f"all files belong to user {found.client}, under whom the CVMFS client runs: it "
            "claims them (CVMFS_CLAIM_OWNERSHIP)",
            f"echo 'CVMFS_CLAIM_OWNERSHIP=no' >> {_local(source)}",
            f"cvmfs_config reload {source.repository}",
        )
    shown = ", ".join(map(str, others))
    return _owners(
        source,
        f"directories of root belong to user {shown}: owners were lost when layers were published "
        "(CVMFS servers from 2.12 on, unless DUCC keeps them)",
        advice=(
            f'set ownership = "require-root" for source {source.name}, to download such layers',
        ),
    )


def _owners(source: SourceSettings, what: str, *mend: str, advice: Sequence[str] = ()) -> Result:
    name = f"owners {source.name}"
    if source.policy.ownership is Ownership.ACCEPT:
        return passed(name, f'{what}; ownership = "accept" is configured')
    return warning(
        name,
        f"{what}; programs of other users than root may not reach their files",
        *mend,
        advice=advice,
    )
