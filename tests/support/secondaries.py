"""Nameservers that follow an authority, or lead it: ours, NSD, Knot."""
import base64
import os
import shutil
import subprocess

import dns.rcode

from daemons import Authority

SECRET = base64.b64encode(b"secret between two nameservers!!").decode()


def tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def secret_option(folder):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "transfer.secret"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    return f"transfer_key = transfer hmac-sha256 {path}"


class Following(Authority):
    """A secondary. Its zone comes from `primaries`: ports on 127.0.0.1."""

    def __init__(self, folder, primaries, options=()):
        super().__init__(folder, options=[secret_option(folder), "transfer = 127.0.0.1", *options,
                                          *[f"primary = 127.0.0.1:{port} transfer" for port in primaries]])

    def write_config(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"zone = {self.zone}", f"database = {self.folder / 'zone.sqlite'}",
                 *[f"listen = {address}" for address in self.listen], *self.options]
        (self.folder / "authority.conf").write_text("\n".join(lines) + "\n")

    def rcode(self, name="fed.test.", rdtype="SOA"):
        return self.query(name, rdtype).rcode()

    def has(self, serial):
        return self.rcode() == dns.rcode.NOERROR and self.serial() == serial


def records(port, key=None):
    """Every record with its TTL, as `dig AXFR` shows it: nothing is merged or reordered away."""
    command = ["dig", "@127.0.0.1", "-p", str(port), "+noall", "+answer", "+onesoa", "fed.test", "AXFR"]
    if key:
        command[1:1] = ["-y", f"hmac-sha256:transfer:{SECRET}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sorted(" ".join(line.split()) for line in text.splitlines())


def random_update(authority, choose):
    """Names that come, go and change, a TTL that changes, many records at one name, targets in another case."""
    message = authority.operator_update()
    for _ in range(choose.randrange(1, 4)):
        name = f"n{choose.randrange(60)}"
        kind = choose.randrange(5)
        if kind == 0:
            message.delete(name)
        elif kind == 1:
            message.delete(name, "A")
        elif kind == 2:
            message.replace(name, choose.choice((60, 300)), "TXT", f'"{choose.randrange(1000)}"')
        elif kind == 3:
            message.add(f"_80._tcp.{name}.list", 60, "SRV", f"0 0 {choose.randrange(1, 60000)} N{choose.randrange(60)}")
        else:
            message.add(name, 60, "A", f"192.0.2.{choose.randrange(250)}")
    return message


def nsd_surroundings(folder, *server_lines, control=False):
    """The beginning of an nsd.conf for an NSD that lives in `folder` alone."""
    own = "".join(f"  {line}\n" for line in server_lines)
    return (f'server:\n  username: ""\n  database: ""\n  zonesdir: "{folder}"\n  pidfile: "{folder}/pid"\n'
            f'  xfrdfile: "{folder}/xfrd"\n  xfrdir: "{folder}"\n  zonelistfile: "{folder}/zones"\n{own}'
            + "remote-control:\n"
            + (f"  control-enable: yes\n  control-interface: {folder}/control\n" if control
               else "  control-enable: no\n"))


def knot_surroundings(folder, port, remote):
    """The beginning of a knot.conf for a Knot that lives in `folder` alone, and answers at `port`. `remote`: the name that the
    nameserver beside it has there, and its port; both sign with SECRET."""
    name, remote_port = remote
    return f"""server:
    rundir: {folder}
    listen: 127.0.0.1@{port}
database:
    storage: {folder}
key:
  - id: transfer
    algorithm: hmac-sha256
    secret: {SECRET}
remote:
  - id: {name}
    address: 127.0.0.1@{remote_port}
    key: transfer
"""
