"""Runs a program as the unit file confines it, as far as that needs no systemd.

    confined.py SECCOMP ALLOWED PROGRAM [ARGUMENT...]

SECCOMP is the library libseccomp, ALLOWED a file with the names of the system calls that are left.
Capabilities are setpriv's matter. Imports the standard library alone, so that any interpreter can
run it anywhere.
"""

import ctypes
import errno
import os
import socket
import sys
from pathlib import Path

PR_SET_MDWE = 65
PR_MDWE_REFUSE_EXEC_GAIN = 1

ACT_KILL_PROCESS = 0x80000000
ACT_ERRNO = 0x00050000
ACT_ALLOW = 0x7FFF0000
CMP_EQ = 4

MOUNTING = (
    *("mount", "umount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount", "fspick"),
    *("move_mount", "open_tree", "open_tree_attr", "mount_setattr", "chroot", "swapon"),
)
"""Whoever tries one of these is killed, so that a try cannot pass unnoticed."""


class Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp`` of libseccomp: a condition on an argument."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def forbid(seccomp: str, allowed: list[str]) -> None:
    """Forbid all system calls but those, and all sockets but unix ones."""
    library = ctypes.CDLL(seccomp, use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ACT_ERRNO | errno.EPERM))
    for name in sorted({*allowed} - {"socket"}):
        _rule(library, context, ACT_ALLOW, name, None)
    for name in MOUNTING:
        _rule(library, context, ACT_KILL_PROCESS, name, None)
    unix = Comparison(0, CMP_EQ, socket.AF_UNIX, 0)
    _rule(library, context, ACT_ALLOW, "socket", unix)
    if library.seccomp_load(context):
        raise OSError("the filter was not loaded")


def _rule(
    library: ctypes.CDLL,
    context: ctypes.c_void_p,
    action: int,
    name: str,
    condition: Comparison | None,
) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    # Not one of this machine's architecture, as many of the names are not; or not known at all.
    if number < 0:
        return
    count = 0 if condition is None else 1
    pointer = None if condition is None else ctypes.byref(condition)
    failed = library.seccomp_rule_add_array(
        context, ctypes.c_uint32(action), number, ctypes.c_uint(count), pointer
    )
    if failed:
        raise OSError(-failed, f"the rule for {name} was not taken")


def main() -> None:
    """Confine this process and become the program."""
    seccomp, allowed, *command = sys.argv[1:]
    names = Path(allowed).read_text().split()
    libc = ctypes.CDLL(None, use_errno=True)
    # Kernels before 6.3 do not know it; systemd does the same by a filter.
    libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
    os.umask(0o077)
    forbid(seccomp, names)
    os.execv(command[0], command)  # noqa: S606 - that is what it is for


if __name__ == "__main__":
    main()
