"""One peer of a service, with a chosen character.

    peer_server.py KIND ADDRESS PORT NAME

http      answers every request with its name; /big/N sends N octets, /paced/N does so at some
          30 MB/s; keep-alive
echo      sends back what it gets; at the end of the client's stream, "<NAME> saw N octets"
reset     accepts, reads a request, resets
close     accepts, reads a request, closes
mute      accepts and never says a word
udp       answers each datagram with "NAME:" + datagram
udpmute   takes datagrams and says nothing
Prints "ready", then one line for each connection or first datagram of a client.
"""
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PACED_OCTETS = 65536

kind, address, port, name = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves whole: who is killed has not begun it, or has said it

    def do_GET(self):
        verb, _, size = self.path.lstrip("/").partition("/")
        self.reply(b"x" * int(size) if size else name.encode(), paced=verb == "paced")

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        received = self.rfile.read(length)
        self.reply(f"{name} got {len(received)}".encode())

    def reply(self, body, paced=False):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        piece = PACED_OCTETS if paced else max(1, len(body))
        for begin in range(0, len(body), piece):
            self.wfile.write(body[begin:begin + piece])
            if paced:
                time.sleep(0.002)

    def log_message(self, *unused):
        say("request")


def serve(connection):
    try:
        converse(connection)
    except OSError:
        pass  # the other side has reset the connection


def converse(connection):
    with connection:
        say("connection")
        if kind == "echo":
            total = 0
            while data := connection.recv(65536):
                total += len(data)
                connection.sendall(data)
            connection.sendall(f"{name} saw {total} octets".encode())
        elif kind == "mute":
            while connection.recv(65536):
                pass
        else:
            connection.recv(65536)
            if kind == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def serve_udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    say("ready")
    while True:
        data, client = sock.recvfrom(65535)
        say("datagram")
        if kind == "udp":
            sock.sendto(name.encode() + b":" + data, client)


if kind == "http":
    if ":" in address:
        ThreadingHTTPServer.address_family = socket.AF_INET6
    server = ThreadingHTTPServer((address, port), Handler)
    say("ready")
    server.serve_forever()
elif kind.startswith("udp"):
    serve_udp()
else:
    listener = socket.create_server((address, port), backlog=4096)  # it may be slower than thousands of clients
    say("ready")
    while True:
        accepted, _ = listener.accept()
        threading.Thread(target=serve, args=(accepted,), daemon=True).start()
