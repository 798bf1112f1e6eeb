"""Prints what headless Firefox shows of a page: load_in_firefox.py FOLDER URL. Speaks Marionette,
Firefox's own remote control: numbered commands as JSON behind their lengths."""

import json
import pathlib
import socket
import subprocess
import sys
import time

PATIENCE_SECONDS = 50
# A new profile would look for updates and for a portal that captures its network.
QUIET = {
    "marionette.port": 0,
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.server": "data:,",
}


class Marionette:
    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS).makefile("rwb")
        self.receive()

    def receive(self):
        size = b""
        while (octet := self.stream.read(1)) != b":":
            if not octet:
                sys.exit("Firefox went away")
            size += octet
        return json.loads(self.stream.read(int(size)))

    def ask(self, command, **parameters):
        text = json.dumps([0, 1, command, parameters]).encode()
        self.stream.write(b"%d:%s" % (len(text), text))
        self.stream.flush()
        _, _, problem, result = self.receive()
        if problem:
            sys.exit(f"{command}: {problem['message']}")
        return result


def main(folder, url):
    folder.mkdir()
    (folder / "user.js").write_text("".join(
        f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in QUIET.items()))
    firefox = subprocess.Popen(["firefox-esr", "--headless", "--no-remote", "--profile", folder, "--marionette"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port_file = folder / "MarionetteActivePort"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (port_file.exists() and port_file.read_text()):
            if firefox.poll() is not None or time.monotonic() > deadline:
                sys.exit("Firefox does not start")
            time.sleep(0.1)
        browser = Marionette(int(port_file.read_text()))
        browser.ask("WebDriver:NewSession")
        browser.ask("WebDriver:Navigate", url=url)
        print(browser.ask("WebDriver:GetPageSource")["value"])
    finally:
        firefox.terminate()
        firefox.wait(timeout=20)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
