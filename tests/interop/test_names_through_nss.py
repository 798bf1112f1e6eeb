# ctest: timeout=300
# ctest: sanitized
"""Unmodified programs open a service by its name: getent, curl, Python, Chromium.

The service is a web server on one host, at a port that only the zone's SRV record names; the
programs run on another host and ask for the ordinary port 80.
"""

import http.server
import os
import pathlib
import shutil
import threading

import pytest

from client_machine import ClientMachine
from daemons import Daemon, wait_until
from netlab import NetLab

SERVICE = "shop.fed.test"
WEB_PORT = 28080
PAGE = b"<!doctype html><title>Shop</title><p id=greeting>Open all night.</p>\n"
POOL = "127."

ZONE = """\
$ORIGIN fed.test.
$TTL 30
@ SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
ns1 A {authority}
shop TXT "v=1" "ports=80/tcp"
_80._tcp.shop SRV 0 0 {port} web
web A {web}
"""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


def start_web_server(host):
    """Its socket is made on the host; the thread that serves it may run anywhere."""
    with host.entered():
        server = http.server.ThreadingHTTPServer((host.address, WEB_PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def start_authority(host, folder, web):
    (folder / "zone").write_text(
        ZONE.format(authority=host.address, web=web.address, port=WEB_PORT))
    configuration = folder / "authority.conf"
    configuration.write_text(f"zone = fed.test.\ndatabase = {folder}/zone.sqlite\n"
                             f"zone_file = {folder}/zone\nlisten = {host.address}:53\n")
    return Daemon("mutua-authority", ["--config", configuration], folder,
                  ready=r"ready udp\+tcp (\S+):(\d+)$", prefix=host.command([])).start()


def start_resolver(client, folder, authority):
    configuration = folder / "resolver.conf"
    configuration.write_text(f"zone = fed.test.\nauthority = {authority.address}:53\n"
                             f"upstream = {authority.address}:53\n")
    daemon = Daemon("mutua-resolver", ["--config", configuration], folder,
                    prefix=client.command([])).start()
    socket_path = pathlib.Path(f"/proc/{client.holder_pid}/root/run/mutua/resolver.sock")
    wait_until(lambda: socket_path.exists() or not daemon.alive(), 20, "the resolver's socket")
    assert daemon.alive(), daemon.log()
    return daemon


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nss")
    with NetLab() as lab:
        authority, web = lab.add_host("authority"), lab.add_host("web")
        machine = lab.add_host("client", kind=ClientMachine)
        machine.library_folder = os.environ["MUTUA_LIB"]
        server = start_web_server(web)
        with start_authority(authority, folder, web), start_resolver(machine, folder, authority):
            yield machine
        server.shutdown()
        server.server_close()


def run(client, *arguments, check=True, timeout=60):
    return client.run(arguments, check=check, timeout=timeout, env=client.environment())


def test_getent_names_a_synthetic_loopback_address(client):
    found = run(client, "getent", "ahostsv4", SERVICE).stdout.split()
    assert found[0].startswith(POOL), found


def test_getent_finds_nothing_for_a_name_that_is_not_there(client):
    done = run(client, "getent", "hosts", "nosuch.fed.test", check=False)
    assert done.returncode == 2, done.stdout + done.stderr


def test_curl_gets_the_page_by_name(client):
    assert run(client, "curl", "-sS", "--max-time", "10",
               f"http://{SERVICE}/").stdout.encode() == PAGE


def test_python_connects_by_name(client):
    script = ("import socket; s = socket.create_connection(('%s', 80), 10); "
              "s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); "
              "print(b''.join(iter(lambda: s.recv(4096), b'')).decode())" % SERVICE)
    assert PAGE.decode() in run(client, "/usr/bin/python3", "-c", script).stdout


def test_chromium_opens_the_page_by_name(client, tmp_path):
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: ./dev setup --test"
    page = run(
        client, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}/profile",
        "--dump-dom", f"http://{SERVICE}/", timeout=120)
    assert '<p id="greeting">Open all night.</p>' in page.stdout, page.stdout + page.stderr


def test_other_names_keep_their_own_addresses(client):
    found = run(client, "getent", "hosts", "localhost").stdout.split()
    assert found[0] in ("127.0.0.1", "::1")
