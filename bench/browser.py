"""A real browser, Debian's Chromium without a window, that takes a picture of a page."""

import os
import subprocess
from pathlib import Path

CONFIGURATION = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""

PATIENCE = 60_000
"""Milliseconds of the page's own time that may pass until it is drawn."""


def photograph(unpacked: Path, page: str, picture: Path, size: tuple[int, int]) -> None:
    """Write what the browser shows of a page to a PNG file.

    Args:
        unpacked: where its package and what it needs are unpacked.
        page: address of the page.
        picture: the file; what the browser needs for itself is made beside it.
        size: width and height of the picture.

    Raises:
        RuntimeError: there is no picture; the message has what the browser said.
    """
    fonts = picture.with_name("fonts.conf")
    cache = picture.with_name("fonts")
    fonts.write_text(CONFIGURATION.format(fonts=unpacked / "usr/share/fonts", cache=cache))
    libraries = {str(path.parent) for path in unpacked.rglob("*.so*")}
    done = subprocess.run(
        [
            unpacked / "usr/lib/chromium/chromium-headless-shell",
            # It has one for users only, and this page is ours.
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={picture.with_name('browser')}",
            f"--window-size={size[0]},{size[1]}",
            f"--virtual-time-budget={PATIENCE}",
            f"--screenshot={picture}",
            page,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300.0,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(picture.parent),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "FONTCONFIG_FILE": str(fonts),
            "LD_LIBRARY_PATH": ":".join(sorted(libraries)),
        },
    )
    if done.returncode or not picture.exists():
        raise RuntimeError(f"no picture of {page}:\n{done.stdout}{done.stderr}")
