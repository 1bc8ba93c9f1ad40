"""A network for pods that have one of their own: a name and an address, nothing behind them."""

from pathlib import Path
from typing import Final

CONFIGURATION: Final = """\
{"cniVersion": "0.3.1", "name": "tests", "plugins": [{"type": "nothing"}]}
"""

PLUGIN: Final = """\
#!/bin/sh
# Called as CNI says (spec 0.3.1); containerd wants an address for a pod.
case $CNI_COMMAND in
    VERSION) echo '{"cniVersion": "0.3.1", "supportedVersions": ["0.3.1"]}' ;;
    ADD) printf '{"cniVersion": "0.3.1", "interfaces": [{"name": "%s", "sandbox": "%s"}],
        "ips": [{"version": "4", "address": "192.0.2.1/24", "interface": 0}]}' \\
        "$CNI_IFNAME" "$CNI_NETNS" ;;
esac
"""


def install(directory: Path) -> None:
    """Make a directory that is both the plugins' and the configuration's of CNI."""
    directory.mkdir()
    (directory / "tests.conflist").write_text(CONFIGURATION)
    # containerd calls the second one for the loopback device of each pod.
    for name in ("nothing", "loopback"):
        plugin = directory / name
        plugin.write_text(PLUGIN)
        plugin.chmod(0o755)
