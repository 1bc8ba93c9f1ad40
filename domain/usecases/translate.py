"""What has to be done so that a published layer shows what its image says."""

from collections.abc import Sequence

from ..companions import Directory, Names, Plan, plan
from ..events import OwnersLost
from ..layer import Hit, Layer, Miss, Reason
from ..policy import ImpliedDirectories, Ownership, Policy, Whiteouts
from ..snapshot import Snapshot
from .context import Context

_ROOT_OWNER = (0, 0)
_MADE_MODE = 0o755


def translate(context: Context, hit: Hit, chain: Sequence[Snapshot] | None) -> Plan | Miss:
    """Plan the companion of a layer on top of a chain, by the policies of its source.

    Args:
        context: the ports.
        hit: the layer, found just now.
        chain: what it would stand on, topmost first; None if that is not known yet.

    Returns:
        The plan, empty if the layer needs none; or why the layer is not used.
    """
    layer = hit.layer
    names = _names(context, hit)
    if isinstance(names, Miss):
        return names
    policy = context.sources.policy(layer.source)
    refused = refusal(layer, names, policy)
    if refused is not None:
        return refused
    if names.owners_lost and policy.ownership is not Ownership.ACCEPT:
        context.events.record(OwnersLost(layer, names.owners[0]))
    if policy.whiteouts is Whiteouts.IGNORE:
        names = names.without_whiteouts()
    corrected = _corrected(context, layer, names, chain)
    return corrected if isinstance(corrected, Miss) else plan(names, corrected)


def _names(context: Context, hit: Hit) -> Names | Miss:
    layer = hit.layer
    known = context.store.read(lambda r: r.names_in(layer))
    # A layer that was removed and published again may have other owners and times.
    if known is not None and known.stamp == hit.stamp:
        return known

    def keep(names: Names) -> None:
        context.store.write(lambda t: t.keep_names(layer, names))

    return context.sources.scan(layer, keep)


def refusal(layer: Layer, names: Names, policy: Policy) -> Miss | None:
    """Tell whether a layer is refused for what its names say, whatever it stands on.

    Args:
        layer: the layer.
        names: what its names say.
        policy: of its source.

    Returns:
        Why it is not used; None if nothing speaks against it so far.
    """
    if names.unusable and policy.whiteouts is not Whiteouts.IGNORE:
        return Miss(
            Reason.UNUSABLE_NAME,
            f"{_shown(names.unusable)} has the name of a whiteout or of a catalog marker, but "
            "cannot be one",
            layer.source,
        )
    if names.whiteouts and policy.whiteouts is Whiteouts.REFUSE:
        return Miss(
            Reason.WHITEOUTS,
            f"the layer deletes {len(names.whiteouts)} names of the layers below, "
            f"{_shown(names.whiteouts[0])} for one, and the policy is to refuse that",
            layer.source,
        )
    if names.owners_lost and policy.ownership is Ownership.REQUIRE_ROOT:
        return Miss(
            Reason.OWNERSHIP,
            f"everything in the layer belongs to {names.owners[0][0]}:{names.owners[0][1]}: the "
            "owners of its files were lost",
            layer.source,
        )
    return None


def _corrected(
    context: Context, layer: Layer, names: Names, chain: Sequence[Snapshot] | None
) -> Sequence[Directory] | Miss:
    policy = context.sources.policy(layer.source).implied_directories
    if not names.implied or policy is ImpliedDirectories.IGNORE:
        return ()
    if chain is None:
        return Miss(
            Reason.IMPLIED_DIRECTORIES,
            f"{len(names.implied)} directories had no entry in the layer's tar, "
            f"{_shown(names.implied[0])} for one, and what lies below is not known before Commit",
            layer.source,
        )
    lowers = [s.layer or context.layout.files(s.identifier) for s in chain]
    # What the layer itself deletes further down says nothing about its own directories.
    asked = [path for path in names.implied if not names.hides_below(path)]
    below = context.sources.directories_below(asked, lowers)
    if isinstance(below, Miss):
        return below
    published = {directory.path: directory for directory in names.directories}
    corrected = []
    for path in names.implied:
        made_up = published[path]
        # Unpacking makes a missing directory like this one.
        right = below.get(path, Directory(path, _MADE_MODE, *_ROOT_OWNER, made_up.mtime))
        if not made_up.same_metadata(right):
            corrected.append(right)
    if corrected and policy is ImpliedDirectories.REFUSE:
        return Miss(
            Reason.IMPLIED_DIRECTORIES,
            f"{len(corrected)} directories had no entry in the layer's tar and differ below, "
            f"{_shown(corrected[0].path)} for one, and the policy is to refuse that",
            layer.source,
        )
    return corrected


def _shown(path: bytes) -> str:
    return repr(path.decode(errors="backslashreplace"))
