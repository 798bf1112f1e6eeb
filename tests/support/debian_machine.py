"""A Debian 12 system that runs: its own kernel and systemd, in QEMU.

    with Machine(root, system.kernel, folder) as machine:
        machine.await_boot()
        machine.run("systemctl is-active ssh")
        machine.reboot()

Its processor is emulated (TCG), so that it runs wherever QEMU does; it has no way out of its machine.
"""

import base64
import os
import pathlib
import select
import socket
import subprocess
import time

from debian_system import run
from netlab import die_with_parent


class Machine:
    """A disk made of `root`, which stays as it is, and the machine that runs from it. A context manager."""

    MEMORY_MIB = 1024

    def __init__(self, root, kernel, folder):
        self.kernel = kernel
        self.folder = pathlib.Path(folder)
        self.disk = self.folder / "disk.img"
        self.console = self.folder / "console.log"
        run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1,nodiscard", "-d", root, self.disk, "1536M")
        self._process = None
        self._line = None
        self._pending = b""
        self._special_modes = []

    def start(self):
        address = self.folder / "shell.sock"
        self._process = subprocess.Popen([
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", "pc,accel=tcg", "-cpu", "Nehalem", "-smp", str(min(2, os.cpu_count())),
            "-m", str(self.MEMORY_MIB), "-kernel", self.kernel,
            "-append", "root=/dev/nvme0n1 rw console=ttyS0 net.ifnames=0 mitigations=off panic=-1",
            "-drive", f"file={self.disk},if=none,id=disk,format=raw,cache=unsafe",
            "-device", "nvme,drive=disk,serial=1",
            "-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net",
            "-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random",
            "-serial", f"file:{self.console}", "-serial", f"unix:{address},server=on,wait=on"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent)
        deadline = time.monotonic() + 20
        self._line = socket.socket(socket.AF_UNIX)
        while self._line.connect_ex(str(address)) != 0:
            assert self._process.poll() is None, self._process.stderr.read()
            assert time.monotonic() < deadline, "QEMU does not listen"
            time.sleep(0.02)
        return self

    def await_boot(self, timeout=240):
        """systemd has started everything that it was to start, or has given it up. Its word: running, degraded."""
        self._await_line("ready", timeout)
        return self.run("systemctl is-system-running --wait", timeout=timeout, check=False).strip()

    def run(self, command, timeout=120, check=True):
        """What the command line says, standard error too."""
        self._line.sendall(base64.b64encode(command.encode()) + b"\n")
        status, _, output = self._read_line(timeout).partition(" ")
        text = base64.b64decode(output).decode(errors="replace")
        assert not check or status == "0", f"{command}: status {status}\n{text}"
        return text

    def reboot(self):
        """Orderly, up to where the next boot has its shell."""
        self._line.sendall(base64.b64encode(b"systemctl reboot --no-block") + b"\n")
        return self.await_boot()

    def power_off(self, timeout=120):
        # debugfs drops them.
        self._special_modes = [line.split(" ", 1) for line in
                               self.run("find / -xdev -perm /7000 -printf '%m %p\\n'").splitlines()]
        self._line.sendall(base64.b64encode(b"systemctl poweroff --no-block") + b"\n")
        self._process.wait(timeout)

    def take_root(self, folder):
        """Copies what is on the disk, once the machine is off."""
        folder.mkdir()
        said = run("debugfs", "-R", f"rdump / {folder}", self.disk)
        assert "rdump:" not in said, said
        for mode, path in self._special_modes:
            (folder / path.lstrip("/")).chmod(int(mode, 8))

    def _await_line(self, wanted, timeout):
        while self._read_line(timeout) != wanted:
            pass

    def _read_line(self, timeout):
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            data = b""
            if left > 0 and select.select([self._line], [], [], left)[0]:
                data = self._line.recv(65536)
            assert data, f"the machine says nothing more; its console:\n{self._console_end()}"
            self._pending += data
        line, self._pending = self._pending.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def _console_end(self):
        return self.console.read_text(errors="replace")[-3000:] if self.console.exists() else ""

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stderr.close()
        self._line.close()
