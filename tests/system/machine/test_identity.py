# ctest: timeout=240
"""Replicas of one snapshot: random numbers of their own, the right time, and a name where wanted."""

import json
import os
import time

import pytest

from machine import Machine, TimeNamespace, base_image, service_image

# One process that lives on through the snapshot, and tells what it finds.
SERVICE = """#!/usr/bin/python3
import http.server, json, os, random, socket, threading, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open("/dev/urandom", "rb") as device:
            urandom = device.read(32).hex()
        text = lambda path: open(path).read().strip() if os.path.exists(path) else ""
        page = json.dumps({
            "pid": os.getpid(), "urandom": urandom, "getrandom": os.getrandom(32).hex(),
            "uuid": text("/proc/sys/kernel/random/uuid"),
            "time": time.time(), "monotonic": time.monotonic(), "ticks": ticks,
            "machine_id": text("/etc/machine-id"), "hostname": socket.gethostname(),
            "resumed": text("/run/mutua/resumed"), "hook": text("/run/hook")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
    def log_message(self, *_):
        pass

ticks = 0
def tick():
    global ticks
    while True:
        time.sleep(0.05)
        ticks += 1
threading.Thread(target=tick, daemon=True).start()
http.server.HTTPServer(("", 80), Handler).serve_forever()
"""
HOOK = '#!/bin/sh\necho "$1 $2" > /run/hook.new; mv /run/hook.new /run/hook\n'
FILES = {"etc/mutua/start": SERVICE, "etc/mutua/resumed": HOOK}
FIRST, SECOND = "0123456789abcdef" * 2, "fedcba9876543210" * 2


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A snapshot of a machine without an instance, what it told before, and its image."""
    folder = tmp_path_factory.mktemp("origin")
    image = service_image(base_image("debian"), FILES, folder / "service.img")
    with Machine(folder, "origin", image, memory_mib=128) as machine:
        told = json.loads(machine.get())
        yield machine.take("shot"), told, image


def told_after_resume(machine, generation="1"):
    """What the service tells once the guest's agent is done."""
    deadline = time.monotonic() + 30
    while True:
        told = json.loads(machine.get())
        if told["hook"].startswith(generation):
            return told
        assert time.monotonic() < deadline, told


def test_two_at_once_share_no_random_number_and_have_names_of_their_own(tmp_path, origin):
    snapshot, before, image = origin
    with Machine(tmp_path, "one", image, 128, snapshot, FIRST) as one, \
            Machine(tmp_path, "two", image, 128, snapshot, SECOND) as two:
        told = [json.loads(machine.get()) for machine in (one, two)]
        for source in ("urandom", "getrandom", "uuid"):
            values = {page[source] for page in [before, *told]}
            assert len(values) == 3, f"{source}: {values}"
        for machine, instance in ((one, FIRST), (two, SECOND)):
            page = told_after_resume(machine)
            assert page["pid"] == before["pid"]
            assert page["machine_id"] == instance
            assert page["hostname"] == f"{before['hostname']}-{instance[:8]}"
            assert page["resumed"] == "1"
            assert page["hook"] == f"1 {instance}"


def test_without_an_instance_nothing_changes_but_the_random_numbers(tmp_path, origin):
    snapshot, before, image = origin
    assert len(before["machine_id"]) == 32 and before["hostname"].startswith("origin-")
    with Machine(tmp_path, "one", image, 128, snapshot) as one, \
            Machine(tmp_path, "two", image, 128, snapshot) as two:
        told = [told_after_resume(machine) for machine in (one, two)]
        for page in told:
            assert page["machine_id"] == before["machine_id"]
            assert page["hostname"] == before["hostname"]
            assert page["hook"] == "1"
        assert told[0]["getrandom"] != told[1]["getrandom"]


def test_an_instance_at_the_boot_gives_way_to_the_next_one(tmp_path, origin):
    image = origin[2]
    with Machine(tmp_path, "named", image, 128, instance=FIRST) as named:
        told = json.loads(named.get())
        assert told["machine_id"] == FIRST and told["hostname"] == f"{named.name}-{FIRST[:8]}"
        snapshot = named.take("named", leave=True)
    with Machine(tmp_path, "second", image, 128, snapshot, SECOND) as second:
        told = told_after_resume(second)
        assert told["machine_id"] == SECOND and told["hostname"] == f"{named.name}-{SECOND[:8]}"
        snapshot = second.take("second", leave=True)
    with Machine(tmp_path, "third", image, 128, snapshot) as third:
        told = told_after_resume(third, "2")
        assert told["machine_id"] == SECOND, "no instance: as it was"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes time namespaces")
@pytest.mark.parametrize("shift", [100_000, -4000])
def test_the_time_is_right_where_the_host_s_clocks_stand_elsewhere(tmp_path, origin, shift):
    """The monotonic clocks of another host have another zero."""
    # No clock goes back beyond its own zero.
    shift = max(shift, 10 - int(time.monotonic()))
    snapshot, before, image = origin
    with TimeNamespace(shift) as namespace, \
            Machine(tmp_path, "shifted", image, 128, snapshot, time_namespace=namespace) as shifted:
        told = told_after_resume(shifted)
        assert os.readlink(f"/proc/{shifted.pid}/ns/time") != os.readlink("/proc/self/ns/time")
        assert abs(told["time"] - time.time()) < 2
        elapsed = told["monotonic"] - before["monotonic"]
        assert 0 <= elapsed < 60, f"the guest's monotonic clock went {elapsed} s"
        later = json.loads(shifted.get())
        deadline = time.monotonic() + 30
        while later["ticks"] < told["ticks"] + 5:
            assert time.monotonic() < deadline, "timers do not fire"
            later = json.loads(shifted.get())
        assert later["monotonic"] - told["monotonic"] < 30
