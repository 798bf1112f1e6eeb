"""The machines' kernel and base image: those of the environment, or built now (then cached)."""

import functools
import os
import pathlib
import shutil
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent


@functools.cache
def kernel():
    return os.environ.get("MUTUA_KERNEL") or _built_by("peer/vm/uml/kernel/build.sh")


@functools.cache
def base_image():
    return os.environ.get("MUTUA_BASE_IMAGE") or _built_by("peer/vm/uml/base/build.sh")


@functools.cache
def debian_image():
    return os.environ.get("MUTUA_DEBIAN_IMAGE") or _built_by("peer/vm/uml/base/build.sh", "debian")


@functools.cache
def qemu_kernel():
    """None where there is no QEMU."""
    if not shutil.which("qemu-system-x86_64"):
        return None
    return os.environ.get("MUTUA_QEMU_KERNEL") or _built_by("peer/vm/qemu/kernel/build.sh")


def _built_by(script, *arguments):
    done = subprocess.run([SOURCE / script, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()[-1]
