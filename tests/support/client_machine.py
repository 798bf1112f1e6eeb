"""A host on which unmodified programs find services by name: it has its own nsswitch.conf,
resolv.conf and /run/mutua, while every other file is the machine's."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from netlab import Host

NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files mutua dns
networks: files
protocols: files
services: files
"""
RUN_FOLDER = "/run/mutua"


class ClientMachine(Host):
    """Made by lab.add_host(name, kind=ClientMachine). `library_folder` holds libnss_mutua.so.2."""

    library_folder = None

    def __init__(self, *arguments):
        self._made_run_folder = not os.path.isdir(RUN_FOLDER)
        os.makedirs(RUN_FOLDER, exist_ok=True)
        self._files = pathlib.Path(tempfile.mkdtemp(prefix="mutua-client-"))
        self._mounts = []
        super().__init__(*arguments)
        self._mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", RUN_FOLDER)
        self.replace_file("/etc/nsswitch.conf", NSSWITCH)
        if os.path.exists("/etc/resolv.conf"):
            self.replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1\n")

    def _namespaces(self):
        """A mount namespace that tells nobody of its mounts. In a chroot whose root is no mount
        point the kernel cannot make it private; close() then takes the mounts away."""
        private = ["unshare", "--mount", "--", "true"]
        if subprocess.run(private, capture_output=True, check=False).returncode == 0:
            return ["--net", "--mount"]
        return ["--net", "--mount", "--propagation", "unchanged"]

    def command(self, arguments):
        # --root: entering a mount namespace would otherwise lead out of a chroot.
        return ["nsenter", f"--net=/proc/{self.holder_pid}/ns/net",
                f"--mount=/proc/{self.holder_pid}/ns/mnt", f"--root=/proc/{self.holder_pid}/root",
                f"--wd={os.getcwd()}", "--", *map(str, arguments)]

    def environment(self, **more):
        """For programs that shall find the NSS module, which is not installed in the machine."""
        found = dict(os.environ, **more)
        if self.library_folder:
            found["LD_LIBRARY_PATH"] = str(self.library_folder)
        return found

    def replace_file(self, path, content):
        """Only this host's programs see the new content of `path`, which must exist."""
        private = self._files / path.strip("/").replace("/", "_")
        private.write_text(content, encoding="utf-8")
        private.chmod(0o644)
        self._mount("--bind", str(private), path)

    def _mount(self, *arguments):
        self.run(["mount", *arguments])
        self._mounts.append(arguments[-1])

    def close(self):
        for target in reversed(self._mounts):
            self.run(["umount", "--lazy", target], check=False)
        super().close()
        shutil.rmtree(self._files, ignore_errors=True)
        if self._made_run_folder:
            try:
                os.rmdir(RUN_FOLDER)
            except OSError:
                pass
