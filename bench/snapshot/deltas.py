"""What a service adds to the base that it stands on, measured by the commands that an owner uses."""

import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
START_SECONDS = 30
SETTLE_SECONDS = 2


class Owner:
    """A peer whose owner makes machines and snapshots. It needs no authority for that, and finds
    none at the address that it is given."""

    def __init__(self, folder, log):
        self.programs = pathlib.Path(os.environ["MUTUA_BIN"])
        self.socket = folder / "peer.sock"
        state = folder / "state"
        self.run("peer", "init", "--state", state)
        config = folder / "peer.conf"
        config.write_text(f"state = {state}\nzone = bench.example.\nauthority = 127.0.0.1:1\n"
                          f"address = 127.0.0.1\ncontrol_socket = {self.socket}\n", encoding="utf-8")
        self.process = subprocess.Popen([self.programs / "mutua-peer", "--config", config],
                                        stdout=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self.socket.exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit("mutua-peer does not start; its log is the bench's")
            time.sleep(0.02)

    def run(self, *words, given=None):
        """The output of a `mutua` command. A refusal ends the bench."""
        command = [str(self.programs / "mutua"), "--peer-socket", str(self.socket), *map(str, words)]
        done = subprocess.run(command, input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False, timeout=120,
                              **({"stdin": subprocess.DEVNULL} if given is None else {}))
        if done.returncode != 0:
            sys.exit(f"mutua {' '.join(map(str, words))}:\n{done.stderr.decode()}")
        return done.stdout.decode()

    def close(self):
        """Ends the peer and its machines."""
        self.process.terminate()
        self.process.wait(timeout=60)

    def await_answer(self, machine):
        """Until the machine's web server has given a page."""
        machines = {one["name"]: one for one in json.loads(self.run("machine", "list", "--json"))}
        url = f"http://127.0.0.1:{machines[machine]['ports'][0]['hostPort']}/"
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run(["curl", "-sf", "-o", os.devnull, "--max-time", "5", url],
                             check=False).returncode != 0:
            if time.monotonic() > deadline:
                sys.exit(f"{machine} does not answer at {url}")
            time.sleep(0.1)

    def delta(self, engine, kernel, guest):
        """Bytes of memory and disk that a service adds to a snapshot of its bare base machine."""
        name = f"{engine}-{guest.name}"
        self.run("machine", "boot", f"{name}-bare", "--engine", engine, "--kernel", kernel, "--base",
                 guest.base, "--memory", guest.memory_mib, "--port", "80/tcp")
        self.await_answer(f"{name}-bare")
        # What the first boot has read and a service may not need.
        self.run("machine", "run", f"{name}-bare", "sync; echo 3 > /proc/sys/vm/drop_caches")
        self.run("snapshot", "take", f"{name}-bare", f"{name}-base", "--leave")
        self.run("snapshot", "resume", f"{name}-base", name)
        files = HERE / "guests" / guest.name
        if files.is_dir():
            packed = subprocess.run(["tar", "-C", files, "--owner=0", "--group=0", "-c", "."],
                                    stdout=subprocess.PIPE, check=True).stdout
            self.run("machine", "run", "--stdin", name, "tar x -C /", given=packed)
            self.run("machine", "run", name, "kill $(pidof httpd)")
        else:
            self.run("machine", "run", name, "echo '<h1>a page</h1>' > /www/index.html")
        time.sleep(SETTLE_SECONDS)
        self.await_answer(name)
        self.run("snapshot", "take", name, f"{name}-1", "--leave")
        page = json.loads(self.run("snapshot", "show", f"{name}-1", "--json"))
        for machine in (name, f"{name}-bare"):
            self.run("machine", "stop", "--discard", machine)
        return page["memoryBytes"] + page["diskBytes"]
