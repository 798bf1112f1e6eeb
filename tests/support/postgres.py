"""PostgreSQL servers for system tests: a primary, a streaming standby, kill -9 and promotion.

As root they run as Debian's user `postgres`, since PostgreSQL refuses to run as root."""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from daemons import free_port, wait_until
from netlab import die_with_parent

PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")
SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 40
shared_buffers = 16MB
wal_keep_size = 256MB
hot_standby = on
# kill -9 of a server leaves its writes in the page cache.
fsync = off
"""


class PostgresServer:
    """One server with a data folder and a port of its own. Roles: postgres, owner, daemon."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mutua-postgres-"))
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.data = self.folder / "data"
        self.port = free_port()
        self.process = None

    def _become_user(self):
        if self.user:
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)
        die_with_parent()

    def run(self, program, *arguments):
        done = subprocess.run([PROGRAMS / program, *map(str, arguments)], cwd="/", text=True, capture_output=True,
                              preexec_fn=self._become_user, timeout=120, check=False)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout

    def create(self):
        self.run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8")
        with open(self.data / "postgresql.conf", "a", encoding="ascii") as settings:
            settings.write(SETTINGS + f"unix_socket_directories = '{self.folder}'\n")
        return self

    def create_standby(self):
        """A standby that streams from this server; it is started."""
        standby = PostgresServer()
        standby.run("pg_basebackup", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-D", standby.data, "-R",
                    "-X", "stream", "-c", "fast", "--no-sync")
        with open(standby.data / "postgresql.conf", "a", encoding="ascii") as settings:
            settings.write(f"unix_socket_directories = '{standby.folder}'\n")
        return standby.start()

    def start(self, **settings):
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "postgres", "-D", self.data, "-p", str(self.port), *options], cwd="/",
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self._become_user)
        wait_until(self.is_ready, 60, f"PostgreSQL answers:\n{(self.folder / 'log').read_text()}")
        return self

    def is_ready(self):
        return subprocess.run([PROGRAMS / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                              check=False).returncode == 0

    def sql(self, text, database="postgres"):
        return self.run("psql", "-q", "-X", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", self.port,
                        "-U", "postgres", "-d", database, "-c", text).strip()

    def create_database(self, name="zone"):
        if not self.sql("SELECT 1 FROM pg_roles WHERE rolname = 'owner'"):
            self.sql("CREATE ROLE owner LOGIN CREATEDB; CREATE ROLE daemon LOGIN")
        self.sql(f"CREATE DATABASE {name} OWNER owner")

    def promote(self):
        assert self.sql("SELECT pg_promote(true, 60)") == "t"

    def kill(self):
        """kill -9 of the whole server at once."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.kill()
        for child in children:
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                pass  # it saw its parent go
        self.process.wait()
        self.process = None

    def close(self):
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def address(*servers, database="zone", role="daemon"):
    """A URI that names all servers; whichever takes writes is meant."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://{role}@{hosts}/{database}"
