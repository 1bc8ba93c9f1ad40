"""Reading the configuration again while the daemon runs."""

import logging
from collections.abc import Callable, Sequence

import attrs

from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.logs.levels import level_name
from cvmfs_snapshotter.adapters.logs.logger import Level, Logger

from .config import Config, ConfigError, load_config
from .config_changes import Change, changes, taken_over


@attrs.frozen
class CommandLine:
    """What the command line says about the configuration.

    Attributes:
        file: path of the configuration file; empty for none.
        log_level: threshold of the log, in the numbers of Python's ``logging``; None if it does
            not say.
    """

    file: str = ""
    log_level: int | None = None

    def level(self, config: Config) -> int:
        """Give the threshold that holds with a configuration: the command line goes first."""
        return self.log_level or config.log_level or logging.INFO


class Reloader:
    """Takes over what can be taken over, and says what cannot. It never raises."""

    def __init__(
        self,
        said: CommandLine,
        config: Config,
        level: Level,
        adopt: Callable[[Sequence[SourceSettings]], None],
        logger: Logger,
    ) -> None:
        """Start with what holds.

        Args:
            said: what the command line says.
            config: what holds.
            level: of the log.
            adopt: takes over other settings of the same sources.
            logger: takes a line for each change.
        """
        self._said = said
        self._config = config
        self._level = level
        self._adopt = adopt
        self._logger = logger

    def reload(self) -> None:
        """Read the file again. One that cannot be meant changes nothing."""
        if not self._said.file:
            self._logger.warning("nothing to reload: the daemon runs without --config")
            return
        try:
            self._take_over(load_config(self._said.file))
        except ConfigError as error:
            self._logger.error(  # noqa: TRY400 - where it was raised says nothing
                "configuration not reloaded; everything stays as it is", cause=str(error)
            )
        except Exception:
            self._logger.exception("configuration not reloaded because of a defect")

    def toggle_debug(self) -> None:
        """Let the log have debug lines; if it has them, let it have those that it should have."""
        usual = self._said.level(self._config)
        self._change_level(logging.DEBUG if self._level.number > logging.DEBUG else usual)

    def _take_over(self, wanted: Config) -> None:
        found = changes(self._config, wanted)
        taken = [change for change in found if self._takes(change)]
        left = [change for change in found if change not in taken]
        level = self._config.log_level
        self._config = taken_over(self._config, wanted)
        if self._said.log_level is not None:
            # What was not taken over is told again next time.
            self._config = attrs.evolve(self._config, log_level=level)
        self._adopt(self._config.sources)
        self._change_level(self._said.level(self._config))
        for change in taken:
            self._logger.info(
                "setting changed", key=change.key, before=change.before, after=change.after
            )
        for change in left:
            why = "--log-level goes first" if change.key == "log_level" else "it needs a restart"
            self._logger.warning(
                "setting not changed",
                key=change.key,
                before=change.before,
                after=change.after,
                cause=why,
            )
        self._logger.info("configuration reloaded", changed=len(taken), not_changed=len(left))

    def _takes(self, change: Change) -> bool:
        overruled = change.key == "log_level" and self._said.log_level is not None
        return change.at_once and not overruled

    def _change_level(self, number: int) -> None:
        before = self._level.number
        if before == number:
            return
        # Said at the more talkative of both, or nobody would hear of it.
        self._level.number = min(before, number)
        self._logger.warning(
            "log level changed", before=level_name(before), after=level_name(number)
        )
        self._level.number = number
