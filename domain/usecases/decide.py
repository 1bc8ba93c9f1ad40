"""Whether a layer that containerd asks for is used from a source."""

from collections.abc import Mapping, Sequence

import attrs

from .. import labels as label_rules
from ..companions import Companion, Plan
from ..layer import Digest, Hit, Layer, Miss, Reason, Trouble, chain_id
from ..mounts import fits
from ..snapshot import Snapshot, provide
from .base import Base, refuse_unreachable, remote_layers, require_reachable
from .context import Context
from .translate import translate


@attrs.frozen
class Accepted:
    """A layer that is used.

    Attributes:
        hit: where it is.
        plan: the companion that it needs, empty for none; None if a snapshot of it is recorded.
        staged: whether it gets its parent at Commit.
    """

    hit: Hit
    plan: Plan | None
    staged: bool = False


def decide(
    context: Context, key: str, base: Base, labels: Mapping[str, str], until: float
) -> Accepted | Miss:
    """Decide on the layer that the labels of a Prepare ask for.

    The sources are asked in their order until one has the layer and nothing speaks against it.
    Whatever does makes it a miss, and the pull goes on as if there were no source. What it would
    stand on has to be within reach even so.

    Args:
        context: the ports.
        key: key of the Prepare.
        base: what the layer would stand on.
        labels: checked labels, the target among them.
        until: deadline for look-ups on the monotonic clock, seconds.

    Returns:
        The layer, ready to be recorded; or the miss of the source that says most: anything before
        absence, and a failure before all else if the context says so.

    Raises:
        UnavailableError: a layer that it would stand on is out of reach.
    """
    looks = _Looks(context, key, base, until)
    decided = _decide(context, base, labels, looks)
    if not looks.checked:
        require_reachable(context, key, base.chain, until)
    return decided


@attrs.define
class _Looks:
    """The look-ups of one request; the first one checks also what the layer would stand on."""

    context: Context
    key: str
    base: Base
    until: float
    checked: bool = False

    def at(self, layer: Layer) -> Hit | Miss:
        sources = self.context.sources
        if self.checked:
            return sources.look(layer, self.until)
        found = sources.look_above(layer, remote_layers(self.base.chain), self.until)
        if isinstance(found, Trouble):
            refuse_unreachable(self.context, self.key, found)
        self.checked = True
        return found


def _decide(
    context: Context, base: Base, labels: Mapping[str, str], looks: _Looks
) -> Accepted | Miss:
    wanted = asked_for(labels)
    if isinstance(wanted, Miss):
        return wanted
    target, digest = wanted
    staged = context.staged and comes_later(base, labels)
    wrong = contradiction(target, base.parent, None, labels, staged=staged)
    if wrong:
        return Miss(Reason.WRONG_CHAIN, wrong)
    provided = base.provided
    if provided is not None and provided.layer is not None and not staged:
        again = looks.at(provided.layer)
        return again if isinstance(again, Miss) else Accepted(again, None)
    asking = _Asking(context, base, labels, target, looks, staged=staged)
    misses: list[Miss] = []
    for name in context.sources.names:
        outcome = asking.on(Layer(name, digest))
        if isinstance(outcome, Accepted):
            return outcome
        misses.append(outcome)
    if not misses:
        return Miss(Reason.NO_SOURCE, "no source is configured")
    return _most_telling(misses, failures_first=context.failures_first)


def _most_telling(misses: Sequence[Miss], *, failures_first: bool) -> Miss:
    failures = [miss for miss in misses if not miss.reason.healthy] if failures_first else []
    refusals = [miss for miss in misses if miss.reason is not Reason.ABSENT]
    return [*failures, *refusals, *misses][0]


@attrs.frozen
class _Asking:
    """One request, put to one source after the other."""

    context: Context
    base: Base
    labels: Mapping[str, str]
    target: Digest
    looks: _Looks
    staged: bool = attrs.field(kw_only=True)

    def on(self, layer: Layer) -> Accepted | Miss:
        context, base = self.context, self.base
        found = self.looks.at(layer)
        if isinstance(found, Miss):
            return found
        wrong = contradiction(
            self.target, base.parent, found.diff_id, self.labels, staged=self.staged
        )
        if wrong:
            return Miss(Reason.WRONG_CHAIN, wrong, layer.source)
        plan = translate(context, found, None if self.staged else base.chain)
        if isinstance(plan, Miss):
            return plan
        on_top = provide(
            layer, self.target, base.parent, self.labels, now=0, companion=_longest(plan)
        )
        if not fits((on_top, *base.chain), context.layout):
            return Miss(
                Reason.TOO_LONG,
                f"with it the chain would have {len(base.chain) + 1} layers, whose mount options "
                "do not fit",
                layer.source,
            )
        return Accepted(found, plan, self.staged)


def comes_later(base: Base, labels: Mapping[str, str]) -> bool:
    """Tell whether a Prepare leaves the parent of its layer to Commit.

    containerd from 2.2 on does so for every layer while it unpacks in parallel, which it does only
    for a snapshotter that advertises ``rebase``; from 2.3 on the labels tell.

    Args:
        base: what the Prepare names.
        labels: checked labels.
    """
    return base.parent is None and label_rules.PARENT_CHAIN_ID in labels


def _longest(plan: Plan) -> Companion | None:
    if not plan:
        return None
    return Companion(2**63 - 1, above=bool(plan.above), below=bool(plan.below))


def asked_for(labels: Mapping[str, str]) -> tuple[Digest, Digest] | Miss:
    """Read which layer labels ask for.

    Args:
        labels: checked labels, the target among them.

    Returns:
        The chain ID and the digest of the compressed layer; or what is wrong with the labels.
    """
    target = Digest.parse(labels[label_rules.TARGET])
    if target is None:
        return Miss(
            Reason.BAD_TARGET, f"label {label_rules.TARGET!r} is not a sha256 digest in lower case"
        )
    if label_rules.LAYER_DIGEST not in labels:
        return Miss(
            Reason.NO_DIGEST,
            f"label {label_rules.LAYER_DIGEST!r} is missing: the client must send snapshot "
            "annotations (CRI: disable_snapshot_annotations = false)",
        )
    digest = Digest.parse(labels[label_rules.LAYER_DIGEST])
    if digest is None:
        return Miss(
            Reason.BAD_DIGEST,
            f"label {label_rules.LAYER_DIGEST!r} is not a sha256 digest in lower case",
        )
    return target, digest


def contradiction(
    target: Digest,
    parent: Snapshot | None,
    published: Digest | None,
    labels: Mapping[str, str],
    *,
    staged: bool = False,
) -> str:
    """Find out whether what is known of a layer contradicts the chain ID that was asked for.

    A containerd that unpacks in parallel (2.2, 2.3) asks without a parent for layers that have
    one; that shows here too.

    Args:
        target: the chain ID asked for.
        parent: what the layer would stand on.
        published: the diff ID that the publisher recorded, if known.
        labels: may name diff ID and parent chain ID, from containerd 2.3 on.
        staged: the parent that the labels name comes at Commit.

    Returns:
        What does not fit, in words; empty if nothing contradicts.
    """
    below = parent.chain_id if parent else None
    claimed = labels.get(label_rules.PARENT_CHAIN_ID, "")
    if staged:
        below = Digest.parse(claimed)
        if below is None:
            return f"the parent should be {claimed[:80]!r}, which is no chain ID"
    elif claimed and (parent is None or (below is not None and claimed != str(below))):
        return f"the parent should be {claimed[:80]!r}, but is {str(below or 'nothing')!r}"
    named = labels.get(label_rules.DIFF_ID, "")
    if published is not None and named and named != str(published):
        return f"the layer's diff ID is {published} where it is published, not {named[:80]!r}"
    diff_id = published or Digest.parse(named)
    unknown_parent = parent is not None and below is None
    if diff_id is None or unknown_parent:
        return ""
    gives = chain_id(below, diff_id)
    if gives == target:
        return ""
    return f"diff ID {diff_id} on {str(below or 'nothing')!r} gives chain ID {gives}, not {target}"
