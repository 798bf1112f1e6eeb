# ctest: timeout=180
"""A snapshot whose signer has put native code in place of the guest's kernel.

It passes every check of its form, as it would after its signature was found good; the jail alone
stands between it and the host."""

import errno
import os
import re
import socket
import subprocess

import pytest

from hostile_snapshot import make_hostile
from machine import Machine, base_image

NOT_THERE = {-errno.ENOENT}
READ_ONLY = {-errno.EACCES, -errno.EROFS}
REFUSED = {-errno.EPERM}
# What each try must give. The host's processes and sockets are in other namespaces.
OUTCOMES = {
    "runs": {1},
    "open-passwd": NOT_THERE, "open-memory": NOT_THERE, "open-device": NOT_THERE, "escape": NOT_THERE,
    "open-kernel": READ_ONLY | {-errno.ETXTBSY}, "open-base": READ_ONLY, "open-snapshot": READ_ONLY,
    "create": READ_ONLY, "chmod": READ_ONLY | REFUSED,
    "kill-host": {-errno.ESRCH}, "trace-host": {-errno.ESRCH},
    "trace-keeper": REFUSED, "shell": NOT_THERE,
    "connect-abstract": {-errno.ECONNREFUSED},
    "fork": {-errno.EAGAIN},
} | dict.fromkeys(
    ["mount", "read-keeper", "setuid", "unshare", "socket-inet", "socket-inet6", "socket-netlink",
     "socket-packet", "bpf", "keyctl", "perf", "userfaultfd", "io_uring"], REFUSED)
# The calls among these that the filter refuses; the others fail for want of anything to reach.
LOGGED = {"mount", "process_vm_readv", "setuid", "unshare", "socket", "bpf", "keyctl",
          "perf_event_open", "userfaultfd", "io_uring_setup"}
MEMORY_MIB, PROCESSES = 64, 64


def denied_calls(machine):
    """What the warden logged of them."""
    return set(re.findall(r"machine\.denied name=\S+ call=(\S+)", machine.log.read_text()))


def is_limited(machine):
    """False where the host grants no control group for memory, which the warden says."""
    return not re.search(r"machine\.unlimited .*controller=memory", machine.log.read_text())


@pytest.fixture
def neighbour(tmp_path):
    """A machine whose snapshot is taken over, and which goes on beside the result."""
    with Machine(tmp_path, "neighbour", base_image("busybox"), MEMORY_MIB) as machine:
        machine.get()
        yield machine


@pytest.fixture
def victim():
    """A process of the host's that nobody may touch."""
    process = subprocess.Popen(["sleep", "infinity"])
    yield process
    process.kill()
    process.wait()


def test_code_in_place_of_the_kernel_reaches_nothing(tmp_path, neighbour, victim):
    snapshot = neighbour.take("shot")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        name = f"mutua-victim-{os.getpid()}"
        listener.bind("\0" + name)
        listener.listen()
        listener.setblocking(False)
        make_hostile(snapshot.memory, tmp_path, victim.pid, name)
        with Machine(tmp_path, "hostile", base_image("busybox"), MEMORY_MIB, snapshot,
                     processes=PROCESSES) as hostile:
            with pytest.raises(AssertionError):
                hostile.wait_ready()
            reason, detail = hostile.exit
        with pytest.raises(BlockingIOError):
            listener.accept()
    results = {what: int(number) for what, number in
               re.findall(r"^hostile (\S+) (-?\d+)$", hostile.console_text(), re.M)}
    for what, allowed in OUTCOMES.items():
        assert results.get(what) in allowed, f"{what}: {results.get(what)}\n{hostile.console_text()}"
    assert results["forks"] < PROCESSES
    assert reason in ("crashed", "failed"), (reason, detail)
    if is_limited(hostile):
        assert "survived" not in results, "it could take memory without end"
        assert results["memory-mib"] <= MEMORY_MIB * 5 // 4 + 64
        assert "memory" in detail and "machine.out_of_memory" in hostile.log.read_text()
    assert denied_calls(hostile) == LOGGED
    assert victim.poll() is None
    assert "This machine runs" in neighbour.get()
    assert no_process_of(hostile)


def no_process_of(machine):
    """No jailed process is left: each has the machine's name among its arguments."""
    argument = f"mutua.hostname={machine.name}"
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if argument.encode() in file.read().split(b"\0"):
                    return False
        except OSError:
            pass
    return True


def test_an_honest_machine_is_never_refused_a_call(tmp_path, neighbour):
    snapshot = neighbour.take("shot", leave=True)
    with Machine(tmp_path, "resumed", base_image("busybox"), MEMORY_MIB, snapshot) as resumed:
        resumed.get()
        resumed.take("again")
        resumed.stop()
    for machine in (neighbour, resumed):
        assert denied_calls(machine) == set()
