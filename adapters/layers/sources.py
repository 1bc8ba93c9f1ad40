"""The configured sources, behind the domain's port."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

from cvmfs_snapshotter.domain.companions import Directory, Names
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss, Reason, Trouble
from cvmfs_snapshotter.domain.policy import Policy
from cvmfs_snapshotter.domain.ports.clock import Clock

from .answers import diff_id_in, directories_in, miss_in, names_in, place_in, size_in
from .prober import Message, Prober
from .remembered import Remembered
from .settings import SourceSettings, below_root

_GONE = "the source is not configured any more"
_TOO_LATE = "the time for look-ups was used up before"


class Sources:
    """Implements ``LayerSources`` and ``Trials``.

    Every touch of a source happens in a probe process.
    """

    def __init__(
        self,
        settings: Sequence[SourceSettings],
        prober: Prober,
        clock: Clock,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take the sources in the order in which they are asked.

        Args:
            settings: the sources; their names differ.
            prober: puts requests to the probe processes.
            clock: gives the time for deadlines.
            warn: called with what the operator should know, a sentence; does not raise.
        """
        self._warn = warn
        self._settings = {source.name: source for source in settings}
        self._prober = prober
        self._clock = clock
        self._unproven: set[str] = set()
        self._below = Remembered(clock)

    def adopt(self, settings: Sequence[SourceSettings]) -> None:
        """Take other settings of the same sources.

        Args:
            settings: by their names; those of sources that are not known are passed over.
        """
        new = {source.name: source for source in settings}
        # One assignment: a request sees all of the old or all of the new.
        self._settings = {name: new.get(name, old) for name, old in self._settings.items()}

    @property
    def patience(self) -> float:
        """Seconds that one request may spend on look-ups altogether: the longest deadline."""
        return max((source.lookup_deadline for source in self._settings.values()), default=0.0)

    @property
    def names(self) -> Sequence[str]:
        """See ``LayerSources.names``."""
        return tuple(self._settings)

    def identify(self, source: str, until: float) -> Miss | None:
        """See ``Trials.identify``."""
        settings = self._settings.get(source)
        if settings is None:
            return Miss(Reason.NO_SOURCE, _GONE, source)
        seconds = min(until - self._clock.monotonic(), settings.lookup_deadline)
        if seconds <= 0:
            return Miss(Reason.SLOW, f"{_TOO_LATE} this source was asked", source)
        request = {"do": "root", "source": settings.request, "hold": False}
        return miss_in(self._prober.ask(request, seconds), source)

    def look(self, layer: Layer, until: float) -> Hit | Miss:
        """See ``LayerSources.look``."""
        source = self._settings.get(layer.source)
        if source is None:
            return Miss(Reason.NO_SOURCE, _GONE, layer.source)
        seconds = min(until - self._clock.monotonic(), source.lookup_deadline)
        if seconds <= 0:
            return Miss(Reason.SLOW, f"{_TOO_LATE} this source was asked", source.name)
        return self._looked(source, layer.digest, self._ask_look(source, layer, (), seconds))

    def look_above(
        self, layer: Layer, below: Sequence[Layer], until: float
    ) -> Hit | Miss | Trouble:
        """See ``LayerSources.look_above``: one request where all are on one source."""
        source = self._settings.get(layer.source)
        distinct = list(dict.fromkeys(below))
        seconds = until - self._clock.monotonic()
        if (
            source is None
            or not distinct
            or any(lower.source != layer.source for lower in distinct)
            # A request has one deadline.
            or not 0 < seconds <= source.lookup_deadline
        ):
            return self.check(below, until) or self.look(layer, until)
        answer = self._ask_look(source, layer, distinct, seconds)
        miss = miss_in(answer, source.name)
        place = place_in(answer, len(distinct) + 1)
        # Only a failure that says that it is about the layer itself leaves those below sound.
        if miss is not None and place < len(distinct):
            return self._trouble(distinct[place], miss.reason, miss.detail)
        return self._looked(source, layer.digest, answer)

    def _ask_look(
        self, source: SourceSettings, layer: Layer, below: Sequence[Layer], seconds: float
    ) -> Message:
        request = {
            "do": "look",
            "source": source.request,
            "layer": layer.digest.hex,
            "below": [lower.digest.hex for lower in below],
        }
        return self._prober.ask(request, seconds)

    def _looked(self, source: SourceSettings, digest: Digest, answer: Message) -> Hit | Miss:
        miss = miss_in(answer, source.name)
        if miss is not None:
            return miss
        if answer.get("proven") is not True:
            self._warn_unproven(source)
        return Hit(
            Layer(source.name, digest),
            diff_id_in(answer),
            str(answer.get("stamp", "")),
            size_in(answer),
        )

    def _warn_unproven(self, source: SourceSettings) -> None:
        if source.name not in self._unproven:
            self._unproven.add(source.name)
            self._warn(
                f"source {source.name!r}: its client does not let user.fqrn be read; that "
                f"{source.path} is repository {source.repository!r} is assumed, because a CVMFS "
                "client has mounted it"
            )

    def check(self, layers: Sequence[Layer], until: float) -> Trouble | None:
        """See ``LayerSources.check``."""
        distinct = list(dict.fromkeys(layers))
        if not distinct:
            return None
        for layer in distinct:
            if layer.source not in self._settings:
                detail = f"source {layer.source!r} is not configured any more"
                return self._trouble(layer, Reason.NO_SOURCE, detail)
        seconds = until - self._clock.monotonic()
        if seconds <= 0:
            return self._trouble(distinct[0], Reason.SLOW, f"{_TOO_LATE} it was asked for")
        answer = self._prober.ask(self._check_request(distinct), seconds)
        miss = miss_in(answer, "")
        if miss is None:
            return None
        return self._trouble(distinct[place_in(answer, len(distinct))], miss.reason, miss.detail)

    def _check_request(self, layers: Sequence[Layer]) -> Message:
        names = list(dict.fromkeys(layer.source for layer in layers))
        return {
            "do": "check",
            "sources": [self._settings[name].request for name in names],
            "layers": [[names.index(layer.source), layer.digest.hex] for layer in layers],
        }

    def _trouble(self, layer: Layer, reason: Reason, detail: str) -> Trouble:
        return Trouble(layer, self.path(layer) or below_root(layer.digest), reason, detail)

    def scan(self, layer: Layer, keep: Callable[[Names], None]) -> Names | Miss:
        """See ``LayerSources.scan``."""
        source = self._settings.get(layer.source)
        if source is None:
            return Miss(Reason.NO_SOURCE, _GONE, layer.source)

        def finished(answer: Message) -> None:
            names = names_in(answer)
            if names is not None:
                self._keep(keep, layer, names)

        answer = self._prober.follow(
            f"{layer.source} {layer.digest}",
            {"do": "scan", "source": source.request, "layer": layer.digest.hex},
            finished,
            source.lookup_deadline,
            source.scan_deadline,
        )
        miss = miss_in(answer, source.name)
        if miss is not None:
            return miss
        return names_in(answer) or Miss(Reason.FAILED, "the scan gave no result", source.name)

    def _keep(self, keep: Callable[[Names], None], layer: Layer, names: Names) -> None:
        try:
            keep(names)
        except Exception as error:  # noqa: BLE001 - whatever it is, the result is good all the same
            self._warn(
                f"what the names in layer {layer.digest} say could not be recorded, so that it "
                f"will be scanned again: {error}"
            )

    def directories_below(
        self, paths: Sequence[bytes], lowers: Sequence[Layer | str]
    ) -> Mapping[bytes, Directory] | Miss:
        """See ``LayerSources.directories_below``."""
        layers = [lower for lower in lowers if isinstance(lower, Layer)]
        for layer in layers:
            if layer.source not in self._settings:
                detail = f"source {layer.source!r} is not configured any more"
                return Miss(Reason.NO_SOURCE, detail, layer.source)
        names = list(dict.fromkeys(layer.source for layer in layers))
        request = {
            "do": "below",
            "sources": [self._settings[name].request for name in names],
            "lowers": [
                lower if isinstance(lower, str) else [names.index(lower.source), lower.digest.hex]
                for lower in lowers
            ],
            "paths": [path.decode(errors="surrogateescape") for path in paths],
        }
        answer = self._follow_below(request)
        miss = miss_in(answer, "")
        if miss is not None:
            return miss
        try:
            return {directory.path: directory for directory in directories_in(answer)}
        except (KeyError, TypeError, ValueError):
            return Miss(Reason.FAILED, "the layers below gave no answer")

    def _follow_below(self, request: Message) -> Message:
        key = f"below {hashlib.sha256(json.dumps(request).encode()).hexdigest()}"

        def finished(answer: Message) -> None:
            if "reason" not in answer:
                self._below.put(key, answer)

        known = self._below.take(key)
        if known is not None:
            return known
        limit = max((source.scan_deadline for source in self._settings.values()), default=0.0)
        answer = self._prober.follow(key, request, finished, self.patience, limit)
        # Who has waited for it needs it to be kept for nobody else.
        if "reason" not in answer:
            self._below.take(key)
        return answer

    def policy(self, source: str) -> Policy:
        """See ``LayerSources.policy``."""
        return self._settings[source].policy

    def path(self, layer: Layer) -> str | None:
        """See ``LayerSources.path``."""
        source = self._settings.get(layer.source)
        return None if source is None else source.layer_path(layer.digest)
