"""A whole Debian 12 system: its root folder by debootstrap, and its kernel; debian_machine.py boots it.

    system = build()         # from the cache after the first time
    system.copy_to(root)     # a root folder to change

What is cached goes by the digest of this file.
"""

import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

ARCHIVE = "http://deb.debian.org/debian"
SUITE = "bookworm"
KERNEL = "linux-image-cloud-amd64"
# systemd and what stands around it; what the programs of Mutua are linked with; what the test asks by.
PACKAGES = """
    systemd systemd-sysv udev kmod iproute2
    libboost-json1.81.0 libbpf1 libc-ares2 libelf1 libfstrm0 libglib2.0-0 libldns3 libpqxx-6.4 libprotobuf-c1
    libseccomp2 libslirp0 libsqlite3-0 libssl3 libstdc++6 libxdp1 libzstd1 zlib1g
    busybox curl
""".split()
ADDRESS = "192.0.2.1"

# A shell on the second serial line: a command of base64 a line, answered by its status and its output.
SHELL = """\
#!/bin/bash
exec < /dev/ttyS1 > /dev/ttyS1
stty raw -echo
echo ready
while read -r line; do
  base64 -d <<< "$line" > /run/command
  bash /run/command > /run/output 2>&1 < /dev/null
  echo "$? $(base64 -w 0 /run/output)"
done
"""
SHELL_UNIT = """\
[Unit]
DefaultDependencies=no
After=systemd-tmpfiles-setup.service
[Service]
ExecStart=/usr/local/sbin/serial-shell
[Install]
WantedBy=multi-user.target
"""
NETWORK = f"[Match]\nName=eth0\n[Network]\nAddress={ADDRESS}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"


class Unavailable(Exception):
    """Neither a cached system nor the archive is at hand."""


def run(*words, **options):
    done = subprocess.run([*map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: status {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


class System:
    """What is cached: a root folder that nothing has changed, and the kernel."""

    def __init__(self, folder):
        self.root = folder / "root"
        self.kernel = folder / "vmlinuz"

    def copy_to(self, root):
        run("cp", "-a", "--reflink=auto", self.root, root)


def build():
    """The system of this recipe, made now where the cache has none. Raises Unavailable. Needs root."""
    cache = pathlib.Path(os.environ.get("MUTUA_CACHE", pathlib.Path.home() / ".cache/mutua")) / "debian-system"
    folder = cache / hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:32]
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".build.") as work:
            made = pathlib.Path(work) / "system"
            made.mkdir()
            _make(made)
            try:
                made.rename(folder)  # one step: the cache never holds half a system, and of two builders one wins
            except OSError:
                if not folder.exists():
                    raise
    return System(folder)


def _make(folder):
    root = folder / "root"
    try:
        with socket.create_connection((ARCHIVE.split("/")[2], 80), 10):
            pass
    except OSError as problem:
        raise Unavailable(f"{ARCHIVE}: {problem}") from problem
    try:
        run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, root, ARCHIVE, timeout=1200)
    except RuntimeError as problem:
        if "noexec or nodev" in str(problem):
            raise Unavailable("debootstrap may make no devices here") from problem
        raise
    _add_kernel(folder, root)
    for line in ("rm -rf /var/cache/apt/* /var/lib/apt/lists/*", "passwd -d root > /dev/null",
                 "systemctl -q enable systemd-networkd",
                 # What a virtual machine in a test has no use for.
                 "systemctl -q mask getty@tty1 serial-getty@ttyS0 apt-daily.timer apt-daily-upgrade.timer "
                 "e2scrub_reap"):
        run("chroot", root, "sh", "-ec", line)
    (root / "etc/hostname").write_text("debian\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 debian\n")
    (root / "etc/resolv.conf").write_text("search example.com\nnameserver 192.0.2.2\n")
    (root / "etc/fstab").write_text("/dev/nvme0n1 / ext4 defaults 0 1\n")
    (root / "etc/systemd/network/eth0.network").write_text(NETWORK)
    shell = root / "usr/local/sbin/serial-shell"
    shell.write_text(SHELL)
    shell.chmod(0o755)
    (root / "usr/lib/systemd/system/serial-shell.service").write_text(SHELL_UNIT)
    run("chroot", root, "systemctl", "-q", "enable", "serial-shell")


def _add_kernel(folder, root):
    """Debian's kernel reads such a disk by itself, so there is no initrd; its package would want one made."""
    work = folder / "kernel"
    work.mkdir()
    run("chroot", root, "apt-get", "-q", "update")
    depends = run("chroot", root, "apt-cache", "depends", KERNEL)
    package = next(line.split()[1] for line in depends.splitlines() if "Depends: linux-image-" in line)
    run("chroot", root, "sh", "-ec", f"cd /tmp && apt-get -q -o APT::Sandbox::User=root download {package}")
    archive = next((root / "tmp").glob("linux-image-*.deb"))
    run("dpkg-deb", "-x", archive, work)
    archive.unlink()
    version = next((work / "lib/modules").iterdir()).name
    shutil.copytree(work / "lib/modules" / version, root / "usr/lib/modules" / version)
    run("chroot", root, "depmod", version)
    shutil.move(work / f"boot/vmlinuz-{version}", folder / "vmlinuz")
    shutil.rmtree(work)
