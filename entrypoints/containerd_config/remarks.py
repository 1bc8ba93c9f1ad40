"""What an administrator has to know beside the lines themselves."""

from .releases import Pull, Release

_MERGE_ONLY = (
    "Merge these lines into config.toml. Do not import them as a file of their own: 1.x replaces "
    "the whole section of a plugin by that of an imported file, so that runtimes, registries and "
    "the sandbox image of the CRI would fall back to their defaults."
)

_MERGE_OR_IMPORT = (
    "Merge these lines into config.toml, or import them as a file of their own. All files should "
    "have one version: settings of the CRI in a file of version 2 get lost beside one of version "
    "3. `containerd config migrate` prints a configuration in the newest version."
)

_ANNOTATIONS = (
    "disable_snapshot_annotations = false makes the CRI say which layer it wants; nothing is "
    "remote without. `ctr images pull` says nothing with these lines and downloads all layers."
)

_SWITCHES = (
    "The CRI goes back to pulling itself, with no more than a warning, if its settings have "
    "use_local_image_pull = true, disable_snapshot_annotations = false, discard_unpacked_layers = "
    "true, image_pull_with_sync_fs = true, another max_concurrent_downloads than 3, or "
    "registry.mirrors, registry.configs or registry.auths."
)

_UNPACKING = (
    "unpack_config replaces containerd's own list, so overlayfs is in it again. A snapshotter in "
    "it that containerd does not have keeps the whole service from starting."
)

_AGAIN = (
    "Where containerd has to unpack an image once more, it does not say with these lines which "
    "layer it wants, and the image must be pulled again. The local pull does not have this gap."
)

_EROFS = "The built-in list of this release has an entry for erofs too; add it if you use that."

_ROOT = "exports.root is where the kubelet measures the file system of images."

_NO_EXPORTS = (
    "It is ignored before 1.6.32 and 1.7.16; these want the directory "
    "/var/lib/containerd/io.containerd.snapshotter.v1.cvmfs-snapshotter to be there."
)

_CAPABILITIES = (
    "Give the plugin no capabilities. With remap-ids containerd would leave the owners of files "
    "in user namespaces to the snapshotter, and they would be wrong; with only-remap-ids it "
    "refuses such pods. Without, it copies the image once for each mapping: slow, and right."
)

_REBASE = (
    "With rebase it would ask for layers without their parents: each would be a miss, or stand on "
    "a broken chain."
)

_STAGED = "Where the daemon is configured with staged = true, as a trial, rebase belongs to it."


def remarks(release: Release, pull: Pull) -> list[str]:
    """Give the remarks, a paragraph each.

    Args:
        release: of containerd.
        pull: how its CRI pulls images.
    """
    local = pull is Pull.LOCAL
    way = "the CRI pulls images itself" if local else "images come through the transfer service"
    origin = (
        f"Tested with containerd {release.tried}."
        if release.tried
        else f"From the sources of containerd; not tested with a containerd {release.name}."
    )
    chosen = [
        (f"containerd {release.name} with cvmfs-snapshotter: {way}.", True),
        (origin, True),
        (_MERGE_OR_IMPORT if release.images_plugin else _MERGE_ONLY, True),
        (_ANNOTATIONS, local),
        (_SWITCHES, not local),
        (_UNPACKING, not local),
        (_EROFS, not local and release.optional_unpacking),
        (_AGAIN, not local),
        (_ROOT if release.images_plugin else f"{_ROOT} {_NO_EXPORTS}", True),
        (_CAPABILITIES, release.capabilities),
        (_REBASE, release.parallel),
        (_STAGED, release.staging),
    ]
    return [remark for remark, holds in chosen if holds]
