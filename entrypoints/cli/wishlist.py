"""The command ``wishlist``."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from ..errors import MeaninglessError
from .flags import Commands, add_config, add_containerd_root, add_json, add_root

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cvmfs_snapshotter.domain.layer import Digest
    from cvmfs_snapshotter.domain.wishes import WantedImage

    from ..config import Config
    from ..recipe import Heading

_EPILOG = """\
exit status:
  0  printed; the list may be empty
  1  the records cannot be read
  2  the flags or the configuration cannot be meant

A layer is remembered when containerd asks for it and no source has it, and forgotten once a source
has it. An image that shares all its layers with published ones is never missed, whatever its name.

examples:
  cvmfs-snapshotter wishlist --user me --most 20 > recipe.yaml
  cvmfs-snapshotter wishlist --json | jq -r '.images[] | [.pulls, .image] | @tsv'
"""


def add_wishlist(commands: Commands) -> argparse.ArgumentParser:
    """Add the command.

    Args:
        commands: takes it.

    Returns:
        Its parser.
    """
    parser = commands.add_parser(
        "wishlist",
        help="print the images that are worth publishing, as a recipe for DUCC",
        description=(
            "Print the images that were pulled here and lie on no source as a recipe for DUCC, "
            "the most wanted first, ready for a pull request to the publisher's list."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_config(parser)
    add_root(parser)
    add_containerd_root(parser)
    parser.add_argument(
        "--repository",
        metavar="NAME",
        help="cvmfs_repo of the recipe (default: the first source that is a repository)",
    )
    parser.add_argument(
        "--user", metavar="NAME", help="user of the recipe (default: cvmfsunpacker)"
    )
    parser.add_argument(
        "--output-format", metavar="TEXT", help="output_format of the recipe (default: DUCC's own)"
    )
    parser.add_argument(
        "--most", type=_count, metavar="N", help="print the N most wanted only (default: all)"
    )
    add_json(parser)
    parser.set_defaults(act=_wishlist)
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 up")
    return int(text)


def _wishlist(arguments: argparse.Namespace) -> int:
    # Whatever is imported here would delay help.
    from cvmfs_snapshotter.domain.wishes import wanted_images  # noqa: PLC0415

    from .. import databases, recipe  # noqa: PLC0415
    from ..config import load_config  # noqa: PLC0415

    heading = _heading(arguments, load_config(arguments.config))
    wishes = databases.read(arguments.root, lambda records: records.wishes())
    images = wanted_images(wishes)[: arguments.most]
    sizes = _sizes(arguments.containerd_root, images)
    if arguments.json:
        shown = {"images": recipe.as_plain(images, sizes), "misses": recipe.misses(wishes)}
        print(json.dumps(shown, indent=2))
    else:
        print(recipe.as_recipe(heading, images, sizes), end="")
    return 0


def _heading(arguments: argparse.Namespace, config: "Config") -> "Heading":
    from ..recipe import DEFAULT_OUTPUT_FORMAT, DEFAULT_USER, Heading  # noqa: PLC0415

    named = (source.repository for source in config.sources if source.repository)
    heading = Heading(
        DEFAULT_USER if arguments.user is None else arguments.user,
        next(named, "") if arguments.repository is None else arguments.repository,
        DEFAULT_OUTPUT_FORMAT if arguments.output_format is None else arguments.output_format,
    )
    for text in (heading.user, heading.repository, heading.output_format):
        if not text.isprintable():
            raise MeaninglessError(f"{text!r} has a character that no recipe can hold")
    return heading


def _sizes(containerd_root: str, images: "Sequence[WantedImage]") -> "Mapping[Digest, int]":
    from pathlib import Path  # noqa: PLC0415

    from cvmfs_snapshotter.adapters.bolt import ContainerdError, open_content  # noqa: PLC0415

    from ..layer_sizes import sizes_of  # noqa: PLC0415

    digests = [wish.digest for image in images for wish in image.layers]
    if not digests:
        return {}
    try:
        return sizes_of(open_content(Path(containerd_root)), digests)
    except ContainerdError as error:
        print(f"sizes of layers are not known: {error}", file=sys.stderr)
        return {}
