# ctest: timeout=400
# ctest: serial
"""The demo is a promise: it is run as it is."""

import os
import pathlib
import signal
import subprocess

import machines

DEMO = pathlib.Path(os.environ["MUTUA_SOURCE"]) / "demo" / "run"


def environment():
    return {**os.environ, "MUTUA_KERNEL": machines.kernel(), "MUTUA_DEBIAN_IMAGE": machines.debian_image()}


def left_behind():
    return set(pathlib.Path("/tmp").glob("mutua-demo-*"))


def test_every_fetch_is_answered_while_peers_are_killed():
    before = left_behind()
    done = subprocess.run([DEMO], env=environment(), capture_output=True, text=True, timeout=360,
                          check=False)
    print(done.stdout, done.stderr)
    assert done.stdout.splitlines()[-1:] == ["demo: 100 of 100 answered"]
    assert done.stdout.count("kill -9") == 2
    assert done.returncode == 0
    assert left_behind() == before


def test_an_interrupted_demo_leaves_nothing_behind():
    before = left_behind()
    with subprocess.Popen([DEMO, "--keep"], env=environment(), stdout=subprocess.PIPE, text=True) as demo:
        for line in demo.stdout:
            if "runs until Ctrl-C" in line:
                break
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    assert left_behind() == before
