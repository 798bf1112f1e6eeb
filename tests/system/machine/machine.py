"""Runs mutua-machine as its daemon would (peer/vm/control.h), for tests of what guests see.

Disks are COW files (peer/vm/uml/cow.h) above an image that add-files.sh makes of a base and a
service's files. Everything lies in one folder; a machine ends with its object."""

import ctypes
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request

import machines
from daemons import program

CONTROL = 3
PACKET_BYTES = 64 << 10
PATIENCE = 60
COW_HEADER_BYTES = 4128
COW_ALIGNMENT = 4096
SECTOR_BYTES = 512
CLONE_NEWTIME = 0x80
LIBC = ctypes.CDLL(None, use_errno=True)


def base_image(recipe):
    if recipe == "busybox":
        return pathlib.Path(machines.base_image())
    script = machines.SOURCE / "peer/vm/uml/base/build.sh"
    done = subprocess.run([script, recipe], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(done.stdout.splitlines()[-1])


def service_image(base, files, image):
    """The disk of a service: the base with `files`, {path: text}, each executable."""
    tree = image.with_suffix(".tree")
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
        (tree / path).chmod(0o755)
    subprocess.run([machines.SOURCE / "peer/vm/uml/base/add-files.sh", base, tree, image], check=True)
    image.chmod(0o644)
    return image


def _round_up(number, unit):
    return (number + unit - 1) // unit * unit


def create_cow(path, base):
    """An empty COW disk above `base`."""
    status = os.stat(base)
    bitmap = _round_up(COW_HEADER_BYTES, COW_ALIGNMENT)
    data = _round_up(bitmap + status.st_size // SECTOR_BYTES // 8, COW_ALIGNMENT)
    with open(path, "xb") as file:
        file.write(b"OOOM" + struct.pack(">IIQIII", 3, int(status.st_mtime), status.st_size,
                                         SECTOR_BYTES, COW_ALIGNMENT, 0))
        file.write(b"/base.img".ljust(4096, b"\0"))
        file.truncate(data + status.st_size)


def expand_cow(cow, base, image):
    """The disk as its machine sees it, as a plain image."""
    size = os.stat(base).st_size
    bitmap_at = _round_up(COW_HEADER_BYTES, COW_ALIGNMENT)
    data_at = _round_up(bitmap_at + size // SECTOR_BYTES // 8, COW_ALIGNMENT)
    subprocess.run(["cp", "--sparse=always", base, image], check=True)
    os.chmod(image, 0o600)
    with open(cow, "rb") as source, open(image, "r+b") as target:
        source.seek(bitmap_at)
        bitmap = source.read(size // SECTOR_BYTES // 8)
        for sector in range(size // SECTOR_BYTES):
            if bitmap[sector // 8] >> (sector % 8) & 1:
                source.seek(data_at + sector * SECTOR_BYTES)
                target.seek(sector * SECTOR_BYTES)
                target.write(source.read(SECTOR_BYTES))


def check_file_system(image):
    """Fails where e2fsck would change anything."""
    done = subprocess.run(["/sbin/e2fsck", "-fn", image], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


class TimeNamespace:
    """One whose monotonic clocks differ from the host's by whole seconds."""

    def __init__(self, seconds):
        self._holder = subprocess.Popen(
            ["unshare", "--time", "--fork", "--kill-child", "--monotonic", str(seconds),
             "--boottime", str(seconds), "sh", "-c", "echo there; exec sleep infinity"],
            stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout.readline() == "there\n"
        self._file = os.open(f"/proc/{self._holder.pid}/ns/time_for_children", os.O_RDONLY | os.O_CLOEXEC)

    def enter(self):
        """For a process of one thread."""
        if LIBC.setns(self._file, CLONE_NEWTIME) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()
        os.close(self._file)


class MachineEnded(AssertionError):
    """str() has the reason, its detail, and the end of the console."""


class Machine:
    """One machine in `folder`, where files carry its name. `snapshot` resumes what take() made;
    `disk`, another machine's, is copied for a boot."""

    def __init__(self, folder, name, image, memory_mib=64, snapshot=None, instance="", disk=None,
                 processes=2000, time_namespace=None):
        self.name = f"{name}-{os.getpid()}"
        self.folder = folder
        self.cow = folder / f"{name}.cow"
        self.console = folder / f"{name}.log"
        self.port = None
        self.exit = None
        self.log = folder / f"{name}.stderr"
        self._answers = []
        if snapshot or disk:
            subprocess.run(["cp", "--sparse=always", snapshot.disk if snapshot else disk, self.cow],
                           check=True)
        else:
            create_cow(self.cow, image)
        self.spec = {
            "name": self.name, "kernel": machines.kernel(), "base_disk": image,
            "scratch_disk": self.cow, "memory_bytes": memory_mib << 20, "address": "10.0.0.1",
            "port": "tcp 127.0.0.1 0-0 80", "outbound": "no", "cpu_percent": 100,
            "processes": processes, "console_log": self.console, "run_dir": folder}
        if snapshot:
            self.spec["memory_snapshot"] = snapshot.memory
        if instance:
            self.spec["instance"] = instance
        self._start(time_namespace)

    def _start(self, time_namespace):
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()

        def prepare():
            os.dup2(theirs.fileno(), CONTROL)
            if time_namespace:
                time_namespace.enter()

        with open(self.log, "wb") as log:
            self._process = subprocess.Popen([program("mutua-machine"), str(parent), "uml"],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             pass_fds=[CONTROL], preexec_fn=prepare)
        theirs.close()
        self._control.send(b"spec\n" + "".join(f"{k} = {v}\n" for k, v in self.spec.items()).encode())

    @property
    def pid(self):
        return self._process.pid

    def _hear(self, deadline):
        left = max(0, deadline - time.monotonic())
        if not select.select([self._control], [], [], left)[0]:
            raise TimeoutError(f"{self.name}: no answer\n{self.console_text()[-3000:]}")
        packet = self._control.recv(PACKET_BYTES).decode()
        if not packet:
            if self.exit is None:
                self.exit = ("killed", "mutua-machine died")
            self._answers.append(("exited", ""))
            return
        word, _, rest = packet.partition("\n")
        if word == "ready":
            self.port = int(rest.split()[2])
        if word == "exited":
            self.exit = tuple(rest.partition("\n")[::2])
        self._answers.append((word, rest))

    def wait_for(self, *words, patience=PATIENCE):
        """The rest of the first message with one of these words."""
        deadline = time.monotonic() + patience
        while True:
            for index, (word, rest) in enumerate(self._answers):
                if word in words:
                    del self._answers[index]
                    return word, rest
                if word == "exited":
                    raise MachineEnded(f"{self.name}: {self.exit}\n{self.console_text()[-3000:]}\n"
                                       f"{self.log.read_text()}")
            self._hear(deadline)

    def wait_ready(self, patience=PATIENCE):
        if self.port is None:
            self.wait_for("ready", patience=patience)
        return self

    def wait_exit(self, patience=PATIENCE):
        self.wait_for("exited", patience=patience)
        return self.exit

    def get(self, path="/", patience=PATIENCE):
        """The body of a page. Waits for a service that is not there yet."""
        self.wait_ready(patience)
        deadline = time.monotonic() + patience
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                    return answer.read().decode()
            except urllib.error.HTTPError:
                raise
            except OSError:
                if time.monotonic() > deadline:
                    raise
                # Anything that comes now is its end, which wait_for() tells about.
                if select.select([self._control], [], [], 0.05)[0]:
                    self.wait_for("nothing else")

    def take(self, name, leave=False):
        self.wait_ready()
        snapshot = Snapshot(self.folder / f"{name}.memory", self.folder / f"{name}.disk")
        self._control.send(f"take\nmemory_file = {snapshot.memory}\ndisk_copy = {snapshot.disk}\n"
                           f"leave = {'yes' if leave else 'no'}\ndeadline_ms = 30000\n".encode())
        word, rest = self.wait_for("taken", "untaken")
        assert word == "taken", rest
        snapshot.report = {k: int(v) for k, v in (w.split("=") for w in rest.split())}
        if leave:
            assert self.wait_exit()[0] == "halted"
            self.close()
        return snapshot

    def stop(self):
        """Ends it cleanly, with its disk."""
        self._control.send(b"stop\n20000")
        assert self.wait_exit()[0] == "halted", self.exit
        self.close()

    def console_text(self):
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def close(self):
        self._control.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Snapshot:
    """The two files of one instant, and what the guest's kernel told about them."""

    def __init__(self, memory, disk):
        self.memory = memory
        self.disk = disk
        self.report = {}

    def remove(self):
        self.memory.unlink()
        self.disk.unlink()
