"""What `packaging/deb` has made, and how tests run programs."""

import http.client
import pathlib
import re
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MADE = ROOT / "target" / "packaging"
VIDGATE = MADE / "vidgate"
PATIENCE = 30


def run(*command, **options):
    """What a command prints; it ends well, or the test fails with what it says."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def package():
    """The Debian package."""
    (found,) = MADE.glob("vidgate_*.deb")
    return found


def unpacked(folder):
    """What is in the package, laid out in a folder."""
    run("dpkg-deb", "-x", package(), folder)
    return folder


def setting(text, key):
    """The values of a key of a unit, or of anything else that is written `KEY=value`."""
    return re.findall(rf"^{re.escape(key)}=(.*)$", text, re.MULTILINE)


def free_ports(count):
    """So many ports that nobody listens at, each another one."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def get(port, path, patience=PATIENCE):
    """The status of an answer on this machine, once somebody listens."""
    end = time.monotonic() + patience
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except ConnectionRefusedError:
            assert time.monotonic() < end, f"nobody listens at {port}"
            time.sleep(0.05)
        finally:
            connection.close()


class Running:
    """A program that runs as long as the block."""

    def __init__(self, *command, **options):
        self._command, self._options = [str(word) for word in command], options

    def __enter__(self):
        self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, **self._options)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
