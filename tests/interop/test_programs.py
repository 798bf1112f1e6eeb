# ctest: timeout=300
"""Other people's programs load a federated name, at port 80 and at port 8443, in every mode: a table.

relay    files mutua dns, connections through the relay
kernel   files mutua dns, connections turned in the kernel
stub     files dns: the stub DNS listener alone, as for programs that skip NSS
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "system/resolver"))
import lab as laboratory  # noqa: E402
from daemons import wait_until  # noqa: E402

HERE = pathlib.Path(__file__).parent
NAME = "blog.fed.example"
PEER = "127.0.0.11"
STUB = "127.0.0.55"
PORTS = (80, 8443)

GO = """
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	answer, problem := http.Get(os.Args[1])
	if problem != nil {
		panic(problem)
	}
	io.Copy(os.Stdout, answer.Body)
}
"""
JAVA = """
public class Fetch {
  public static void main(String[] arguments) throws Exception {
    System.out.write(new java.net.URL(arguments[0]).openStream().readAllBytes());
    System.out.flush();
  }
}
"""
PYTHON = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode(), end='')"
NODE = """
require("http").get(process.argv[1], {agent: false}, answer => answer.pipe(process.stdout));
"""
# c-ares, which reads resolv.conf and nothing of NSS.
NODE_DNS = """
const url = new URL(process.argv[1]);
require("dns").resolve4(url.hostname, (problem, addresses) => {
  if (problem) throw problem;
  require("http").get({host: addresses[0], port: url.port || 80, agent: false},
                      answer => answer.pipe(process.stdout));
});
"""
MUSL = r"""
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int count, char** arguments) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  char answer[4096];
  if (count != 3 || getaddrinfo(arguments[1], arguments[2], &hints, &found) != 0) return 1;
  int client = socket(found->ai_family, SOCK_STREAM, 0);
  if (connect(client, found->ai_addr, found->ai_addrlen) != 0) return 2;
  const char* request = "GET / HTTP/1.0\r\n\r\n";
  if (write(client, request, strlen(request)) < 0) return 3;
  size_t have = 0;
  for (ssize_t more; (more = read(client, answer + have, sizeof answer - 1 - have)) > 0;) have += (size_t)more;
  answer[have] = 0;
  const char* body = strstr(answer, "\r\n\r\n");
  if (body == NULL) return 4;
  fputs(body + 4, stdout);
  return 0;
}
"""


def fresh_folder(parent, name):
    """One that does not exist."""
    return parent / f"{name}-{sum(1 for _ in parent.glob(f'{name}-*'))}"


def programs_in(folder):
    """name -> how to have it print what a port of NAME serves; None where it is not installed."""
    (folder / "fetch.go").write_text(GO)
    (folder / "Fetch.java").write_text(JAVA)
    (folder / "fetch.c").write_text(MUSL)
    found = {
        "curl": lambda url, _: ["curl", "-sS", "--max-time", "15", "--noproxy", "*", url],
        "Python": lambda url, _: [laboratory.PYTHON, "-c", PYTHON, url],
        "Java": shutil.which("javac") and (lambda url, _: ["java", folder / "Fetch.java", url]),
        "Node http": shutil.which("node") and (lambda url, _: ["node", "-e", NODE, url]),
        "Node dns.resolve": shutil.which("node") and (lambda url, _: ["node", "-e", NODE_DNS, url]),
        "Go with cgo": shutil.which("go") and (lambda url, _: [folder / "go-cgo", url]),
        "Go without cgo": shutil.which("go") and (lambda url, _: [folder / "go-pure", url]),
        "musl, static": None,
        "Chromium": shutil.which("chromium") and (lambda url, port: [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/chromium-{port}",
            "--virtual-time-budget=5000", "--dump-dom", url]),
        "Firefox": shutil.which("firefox-esr") and (lambda url, port: [
            laboratory.PYTHON, HERE / "load_in_firefox.py", fresh_folder(folder, "firefox"), url]),
    }
    if shutil.which("go"):
        for program, cgo in (("go-cgo", "1"), ("go-pure", "0")):
            subprocess.run(["go", "build", "-o", folder / program, folder / "fetch.go"], check=True,
                           env={**os.environ, "CGO_ENABLED": cgo, "GO111MODULE": "off",
                                "GOCACHE": str(folder / "go-cache"), "GOFLAGS": "-p=2"})
    if shutil.which("musl-gcc"):
        subprocess.run(["musl-gcc", "-static", "-o", folder / "fetch", folder / "fetch.c"], check=True)
        found["musl, static"] = lambda _, port: [folder / "fetch", NAME, str(port)]
    return found


@pytest.fixture
def machine(tmp_path):
    made = laboratory.Lab(tmp_path)
    try:
        (tmp_path / "resolv.conf").write_text(f"nameserver {STUB}\n")
        made.make_cgroup()
        made.start_authority()
        made.peer("http", PEER, name="the page")
        for port in PORTS:
            made.publish(NAME, [(PEER, 8080)], port=port, ports="80/tcp,8443/tcp")
        yield made
    finally:
        made.end()


def start_mode(machine, mode):
    if machine.resolver:
        machine.resolver.end()
    hosts = "files dns" if mode == "stub" else "files mutua dns"
    (machine.folder / "nsswitch.conf").write_text(f"hosts: {hosts}\npasswd: files\ngroup: files\n")
    settings = {"redirect": "kernel", "cgroup": machine.cgroup} if mode == "kernel" else {"redirect": "relay"}
    machine.start_resolver(stub_listen=STUB, upstream=laboratory.UPSTREAM, **settings)
    if mode == "kernel":
        for port in PORTS:
            assert machine.curl(f"http://{NAME}:{port}/").stdout == "the page"
        wait_until(lambda: machine.control(command="status")["result"]["services_in_kernel"] == len(PORTS),
                   what="the kernel leads both ports")


def test_every_program_loads_a_federated_name_in_every_mode(machine, capsys):
    modes = ["relay", "kernel", "stub"] if machine.cgroup else ["relay", "stub"]
    programs = programs_in(machine.folder)
    table = {name: {} for name in programs}
    for mode in modes:
        start_mode(machine, mode)
        for name, command in programs.items():
            for port in PORTS:
                if command is None:
                    table[name][mode, port] = "not installed"
                    continue
                result = machine.run(*command(f"http://{NAME}:{port}/" if port != 80 else f"http://{NAME}/", port),
                                     timeout=60)
                loaded = "the page" in result.stdout
                table[name][mode, port] = "yes" if loaded else f"no: {(result.stderr or 'nothing').strip()[-200:]}"
    with capsys.disabled():
        columns = [(mode, port) for mode in modes for port in PORTS]
        print("\n" + " | ".join([f"{'program':18}", *(f"{mode}:{port}".ljust(13) for mode, port in columns)]))
        for name, row in table.items():
            print(" | ".join([f"{name:18}", *(row[column].ljust(13) for column in columns)]))
    failed = {(name, *column): outcome for name, row in table.items() for column, outcome in row.items()
              if outcome.startswith("no:")}
    assert not failed
