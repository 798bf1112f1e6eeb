"""What is asked and answered, as other people's readers of dnstap see it."""

import datetime
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import dns.message
import dns.query
import dns.rcode
import pytest

from daemons import Authority, free_port, wait_until
from netlab import die_with_parent, end

SCHEMA = pathlib.Path(os.environ["MUTUA_SOURCE"]) / "authority/tap/dnstap.proto"
needs_tools = pytest.mark.skipif(not all(map(shutil.which, ("fstrm_capture", "dnstap-ldns", "protoc"))),
                                 reason="NOT RUN: fstrm_capture, dnstap-ldns or protoc is not installed (./dev setup --test)")


def capture(folder, path):
    """fstrm_capture, once it listens."""
    reader = subprocess.Popen(["fstrm_capture", "-t", "protobuf:dnstap.Dnstap", "-u", str(path), "-w", str(folder / "captured")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
    wait_until(path.exists, 10, "fstrm_capture listens")
    return reader


def read(path):
    """The frames of a file, as dnstap-ldns prints them in short. It does not know updates."""
    return subprocess.run(["dnstap-ldns", "-q", "-r", str(path)], check=True, capture_output=True, text=True).stdout.splitlines()


def frames(path):
    """The data frames of a file of Frame Streams; a length of 0 announces a control frame."""
    octets, at = path.read_bytes(), 0
    while at < len(octets):
        size = int.from_bytes(octets[at:at + 4], "big")
        at += 4
        if size == 0:
            at += 4 + int.from_bytes(octets[at:at + 4], "big")
            continue
        yield octets[at:at + size]
        at += size


def decoded(frame):
    return subprocess.run(["protoc", "--decode=dnstap.Dnstap", f"--proto_path={SCHEMA.parent}", SCHEMA.name], input=frame,
                          check=True, capture_output=True).stdout.decode(errors="replace")


def ask_everything(authority):
    """An answer by UDP, a denial by TCP, an answer with TSIG, an update; all over IPv4."""
    assert authority.query("ns1", "A").answer
    assert authority.query("none", "TXT", tcp=True).rcode() == dns.rcode.NXDOMAIN
    update = authority.operator_update()
    signed = dns.message.make_query("ns2.fed.test.", "A")
    signed.use_tsig(update.keyring, update.keyname, algorithm=update.keyalgorithm)
    assert dns.query.udp(signed, authority.address, 5, authority.port).had_tsig
    update.add("new", 60, "TXT", "x")
    assert authority.send(update, tcp=False).rcode() == dns.rcode.NOERROR


def expect_everything(path):
    lines = [line.split() for line in read(path) if "unhandled" not in line]
    shown = {(kind, address, protocol, name) for _, _, kind, address, protocol, _, name, _, _ in lines}
    asked = [("UDP", "ns1"), ("TCP", "none"), ("UDP", "ns2")]
    assert shown == {(kind, "127.0.0.1", protocol, f'"{name}.fed.test."') for protocol, name in asked for kind in ("AQ", "AR")}
    now = time.time()
    for date, clock, *_ in lines:
        told = datetime.datetime.fromisoformat(f"{date} {clock}+00:00").timestamp()
        assert now - 60 < told <= now
    updates = [text for text in map(decoded, frames(path)) if "type: UPDATE" in text]
    assert ["type: UPDATE_QUERY" in text for text in updates] == [True, False]
    assert all("socket_protocol: UDP" in text and "query_time_sec" in text for text in updates)
    assert "query_message" in updates[0] and "response_message" in updates[1]


@needs_tools
def test_a_file_holds_every_question_answer_and_update(tmp_path):
    path = tmp_path / "taps"
    with Authority(tmp_path, options=[f"dnstap = file {path}"]) as authority:
        ask_everything(authority)
        assert authority.stop() == 0
    expect_everything(path)
    raw = path.read_bytes()
    assert b"mutua-authority" in raw and socket.gethostname().encode() in raw


@needs_tools
def test_a_reader_may_come_late_and_leave(tmp_path):
    path = tmp_path / "reader.sock"
    metrics = free_port()
    with Authority(tmp_path, options=[f"dnstap = socket {path}", f"metrics_listen = 127.0.0.1:{metrics}"]) as authority:
        def count(outcome):
            text = subprocess.run(["curl", "-s", f"http://127.0.0.1:{metrics}/metrics"], capture_output=True, text=True,
                                  check=True).stdout
            return int(re.search(rf'dnstap_exchanges_total{{outcome="{outcome}"}} (\d+)', text)[1])

        authority.query("ns1", "A")
        wait_until(lambda: count("dropped") >= 1, 10, "nobody reads yet")
        reader = capture(tmp_path, path)
        try:
            wait_until(lambda: "dnstap.ready" in authority.log(), 10, "the authority finds the reader")
            ask_everything(authority)
            wait_until(lambda: count("told") >= 5, 10, "all is told")
        finally:
            end(reader)
        expect_everything(tmp_path / "captured")
        # Questions are answered with nobody there, and with somebody who takes nothing.
        path.unlink(missing_ok=True)
        assert authority.query("ns1", "A").answer
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
            deaf.bind(str(path))
            deaf.listen()
            began = time.monotonic()
            for _ in range(50):
                assert authority.query("ns1", "A").answer
            assert authority.stop() == 0
            assert time.monotonic() - began < 10


def test_a_target_that_makes_no_sense_is_refused(tmp_path):
    for wrong in ("pipe /x", "file", "socket /x y"):
        authority = Authority(tmp_path, options=[f"dnstap = {wrong}"])
        authority.write_config()
        checked = subprocess.run([*authority.command, "--check-config"], capture_output=True, text=True, check=False)
        assert checked.returncode == 1 and "dnstap: expected" in checked.stderr
