# ctest: timeout=300
"""A machine that moves twenty times: nothing that runs in it can tell, and its snapshots do not grow."""

import json
import sqlite3
import subprocess
import time

from machine import Machine, base_image, check_file_system, expand_cow, service_image

GENERATIONS = 20
SLEEPERS = 200
MEMORY_MIB = 128

# The job is a function of the number of its steps alone. The writer never holds more than ROWS
# rows, so its state does not grow. GET /?steps=N lets the job end there.
SERVICE = """#!/usr/bin/python3
import hashlib, http.server, json, math, os, signal, sqlite3, subprocess, threading, time
from urllib.parse import parse_qs, urlparse

ROWS, SLEEPERS, DATABASE = 400, %d, "/var/ledger.db"

class Job(threading.Thread):
    steps, last, result = 0, None, None
    def run(self):
        x, y, z, total = 0.1, 0.0, 0.0, 0.0
        while self.last is None or self.steps < self.last:
            for _ in range(100):  # Lorenz's attractor forgets no bit
                x, y, z = (x + 0.01 * 10 * (y - x), y + 0.01 * (x * (28 - z) - y),
                           z + 0.01 * (x * y - 8 / 3 * z))
                total = math.sqrt(total * total + abs(math.sin(x) * math.exp(-abs(y)))) * 0.999
            self.steps += 1
            time.sleep(0.001)
        self.result = [value.hex() for value in (x, y, z, total)]

class Writer(threading.Thread):
    written, failure = 0, ""
    def run(self):
        try:
            self.write()
        except Exception as failure:
            self.failure = repr(failure)
    def write(self):
        database = sqlite3.connect(DATABASE, isolation_level=None)
        database.execute("pragma synchronous = full")
        database.execute("create table entry (slot integer primary key, n integer, digest text)")
        while not stop.is_set():
            database.execute("begin immediate")
            for _ in range(5):
                n = self.written + 1
                digest = hashlib.sha256(str(n).encode()).hexdigest()
                database.execute("replace into entry values (?, ?, ?)", (n %% ROWS, n, digest))
                self.written = n
            database.execute("commit")
            time.sleep(0.01)

class Sleeper(threading.Thread):
    turns = 0
    def run(self):
        while not stop.wait(0.5):
            self.turns += 1

def is_alive(process):
    return process.poll() is None and os.path.exists(f"/proc/{process.pid}/exe")

def meminfo():
    with open("/proc/meminfo") as file:
        fields = dict(line.split()[:2] for line in file)
    return (int(fields["MemTotal:"]) - int(fields["MemFree:"])) * 1024

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = parse_qs(urlparse(self.path).query)
        if "steps" in query:
            job.last = int(query["steps"][0])
        if "stop" in query:
            stop.set()
            writer.join(20)
        page = json.dumps({
            "pid": os.getpid(), "steps": job.steps, "result": job.result,
            "written": writer.written, "failure": writer.failure,
            "processes": sum(map(is_alive, processes)), "pids": [p.pid for p in processes],
            "threads": sum(thread.is_alive() for thread in threads),
            "least_turns": min((thread.turns for thread in threads), default=0),
            "used": meminfo()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
    def log_message(self, *_):
        pass

threading.stack_size(64 << 10)
stop, job, writer = threading.Event(), Job(), Writer()
only_job = os.path.exists("/etc/mutua/only-job")
processes = [] if only_job else [subprocess.Popen(["/bin/busybox", "sleep", "100000"])
                                 for _ in range(SLEEPERS)]
threads = [] if only_job else [Sleeper() for _ in range(SLEEPERS)]
for thread in [job, *threads] + ([] if only_job else [writer]):
    thread.start()
http.server.HTTPServer(("", 80), Handler).serve_forever()
""" % SLEEPERS


def status(machine, query=""):
    return json.loads(machine.get("/" + query))


def status_when(machine, condition, patience=60):
    deadline = time.monotonic() + patience
    while not condition(told := status(machine)):
        assert time.monotonic() < deadline, told
    return told


def uninterrupted_result(folder, steps):
    """What the job gives in a machine that is never taken."""
    files = {"etc/mutua/start": SERVICE, "etc/mutua/only-job": ""}
    image = service_image(base_image("debian"), files, folder / "reference.img")
    with Machine(folder, "reference", image, MEMORY_MIB) as machine:
        status(machine, f"?steps={steps}")
        return status_when(machine, lambda told: told["result"])["result"]


def check_ledger(image, database, written):
    """The database in a stopped machine's disk holds the last entries and nothing else."""
    subprocess.run(["/sbin/debugfs", "-R", f"dump /var/ledger.db {database}", image],
                   capture_output=True, check=True)
    with sqlite3.connect(database) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        numbers = [n for (n,) in connection.execute("select n from entry order by n")]
    assert numbers == list(range(written - len(numbers) + 1, written + 1))


def test_twenty_generations_change_nothing(tmp_path):
    image = service_image(base_image("debian"), {"etc/mutua/start": SERVICE}, tmp_path / "service.img")
    with Machine(tmp_path, "generation-0", image, MEMORY_MIB) as machine:
        first = status_when(machine, lambda told: told["written"] > 1000 and told["least_turns"] > 0)
        snapshot = machine.take("shot-0", leave=True)
    assert first["processes"] == first["threads"] == SLEEPERS
    sizes, used, before = [], [], first
    for generation in range(1, GENERATIONS + 1):
        with Machine(tmp_path, f"generation-{generation}", image, MEMORY_MIB, snapshot) as machine:
            machine.wait_ready()
            snapshot.remove()
            # All of it goes on from where it was.
            told = status_when(machine, lambda told: told["steps"] > before["steps"] + 20
                               and told["written"] > before["written"] + 20
                               and told["least_turns"] > before["least_turns"])
            assert told["failure"] == ""
            assert (told["pid"], told["pids"]) == (first["pid"], first["pids"])
            assert told["processes"] == told["threads"] == SLEEPERS
            if generation < GENERATIONS:
                snapshot = machine.take(f"shot-{generation}", leave=True)
                assert snapshot.report["generation"] == generation
                sizes.append(snapshot.report["bytes"])
                used.append(told["used"])
                machine.cow.unlink()
            else:
                steps = told["steps"] + 100
                status(machine, f"?steps={steps}")
                result = status_when(machine, lambda told: told["result"])["result"]
                written = status(machine, "?stop=1")["written"]
                machine.stop()
        before = told
    print(f"snapshots of {sizes[0] >> 10} to {sizes[-1] >> 10} KiB, "
          f"used in the guest {used[0] >> 10} to {used[-1] >> 10} KiB, {steps} steps, {written} entries")
    assert sizes[-1] - sizes[0] <= max(0, used[-1] - used[0]) + (2 << 20), list(zip(sizes, used))
    assert result == uninterrupted_result(tmp_path, steps)
    expand_cow(machine.cow, image, tmp_path / "disk.img")
    check_file_system(tmp_path / "disk.img")
    check_ledger(tmp_path / "disk.img", tmp_path / "ledger.db", written)
