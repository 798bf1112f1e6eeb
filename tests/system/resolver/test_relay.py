"""What goes through the relay arrives as it was said."""
# ctest: sanitized

import hashlib

NAME = "echo.fed.example"
ADDRESS = "127.0.0.21"


def test_half_close_passes_in_order_and_the_answer_follows(federation):
    federation.peer("echo", ADDRESS, name="far")
    federation.publish(NAME, [(ADDRESS, 8080)])
    code = """
import socket, sys, threading, hashlib, os
s = socket.create_connection((sys.argv[1], 80), 30)
data = os.urandom(20_000_000)
received = bytearray()
def read():
    while more := s.recv(1 << 20):
        received.extend(more)
reader = threading.Thread(target=read); reader.start()
s.sendall(data); s.shutdown(socket.SHUT_WR); reader.join()
tail = b"far saw 20000000 octets"
print(bytes(received[:len(data)]) == data, bytes(received[len(data):]) == tail)
"""
    assert federation.python(code, NAME).split() == ["True", "True"]


def test_a_client_that_only_uploads_is_not_held_back(federation):
    federation.peer("http", ADDRESS)
    federation.publish(NAME, [(ADDRESS, 8080)])
    upload = federation.folder / "upload"
    upload.write_bytes(b"u" * 5_000_000)
    result = federation.curl(f"http://{NAME}/", "-H", "Expect:", "--data-binary", f"@{upload}")
    assert result.stdout == f"{ADDRESS} got 5000000"


def test_a_slow_reader_slows_its_writer_and_memory_stays(federation):
    federation.peer("http", ADDRESS)
    federation.publish(NAME, [(ADDRESS, 8080)])
    code = """
import socket, sys, time
s = []
for _ in range(20):
    c = socket.create_connection((sys.argv[1], 80), 30)
    c.sendall(b"GET /big/50000000 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    assert c.recv(10)
    s.append(c)
print(open(f"/proc/{sys.argv[2]}/statm").read().split()[1])
"""
    pages = int(federation.python(code, NAME, str(federation.resolver.process.pid)).split()[0])
    assert pages * 4096 < 100 * 1024 * 1024


def test_little_waits_for_a_slow_reader_in_the_kernel(federation):
    federation.peer("http", ADDRESS)
    federation.publish(NAME, [(ADDRESS, 8080)])
    code = """
import socket, subprocess, sys, time
s = socket.create_connection((sys.argv[1], 80), 30)
s.sendall(b"GET /big/50000000 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
assert s.recv(10)
queued = -1
while True:
    time.sleep(0.3)
    fields = subprocess.check_output(["ss", "-Htn", "dport", "=", ":%d" % s.getsockname()[1]], text=True).split()
    before, queued = queued, int(fields[2])
    if before == queued: break
print(queued)
"""
    assert 0 < int(federation.python(code, NAME)) <= 512 * 1024


def test_thousands_of_connections_at_once(federation):
    federation.peer("echo", ADDRESS)
    federation.publish(NAME, [(ADDRESS, 8080)])
    code = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
address = socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)[0][4]
clients = []
for number in range(4000):
    c = socket.create_connection(address, 30)
    c.sendall(b"%05d" % number)
    clients.append(c)
for number, c in enumerate(clients):
    assert c.recv(5) == b"%05d" % number
print("all")
"""
    assert federation.python(code, NAME, timeout=120).strip() == "all"


def test_udp_is_relayed_and_a_silent_or_refusing_peer_replaced(federation):
    federation.peer("udpmute", "127.0.0.22")
    federation.peer("udp", "127.0.0.23", name="third")
    # .21 refuses by ICMP, .22 says nothing, .23 answers.
    federation.publish(NAME, [("127.0.0.21", 8080, 1, 0), ("127.0.0.22", 8080, 2, 0), ("127.0.0.23", 8080, 3, 0)],
                       port=53, transport="udp")
    code = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
s.connect((sys.argv[1], 53))
for n in range(3):
    s.send(b"%d" % n); print(s.recv(100).decode())
"""
    assert federation.python(code, NAME).split() == ["third:0", "third:1", "third:2"]
    failures = {one["address"]: one.get("last_failure")
                for one in federation.lookup(NAME, 53, transport="udp")["candidates"]}
    assert failures == {"127.0.0.21:8080": "Connection refused",
                        "127.0.0.22:8080": "silent while another peer answered", "127.0.0.23:8080": None}


def test_a_udp_peer_that_dies_is_replaced_for_the_datagram_at_hand(federation):
    first = federation.peer("udp", "127.0.0.22", name="second")
    federation.peer("udp", "127.0.0.23", name="third")
    federation.publish(NAME, [("127.0.0.22", 8080, 1, 0), ("127.0.0.23", 8080, 2, 0)], port=53, transport="udp")
    client = """
import os, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
s.connect((sys.argv[1], 53))
s.send(b"a"); first = s.recv(100).decode()
print("ready", flush=True)
while not os.path.exists(sys.argv[2]): time.sleep(0.01)
s.send(b"b"); print(first, s.recv(100).decode(), flush=True)
"""
    go = federation.folder / "go"
    running = federation.start("/usr/bin/python3", "-c", client, NAME, go)
    first.end()
    go.write_text("")
    assert running.line(15) == "second:a third:b"


def test_md5_of_a_large_download_is_the_same(federation):
    federation.peer("http", ADDRESS)
    federation.publish(NAME, [(ADDRESS, 8080)])
    result = federation.run("sh", "-c", f"curl -sS http://{NAME}/big/100000000 | md5sum", timeout=60)
    assert result.stdout.split()[0] == hashlib.md5(b"x" * 100_000_000).hexdigest()
