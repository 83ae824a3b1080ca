"""What the tests talk to: vidgate with the recipe, and in front of an upstream one proxy with its own."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

from street import ask

RECIPES = pathlib.Path(__file__).resolve().parents[2] / "config/recipes/decide"
KEY = "LKey v3.a-key-of-acme"
# What the tests need beside the recipe: a limit that is soon reached, a route for callers from one network, and one of a host.
MORE = """
[limit.few]
rate = "1/1m"
burst = 2

[[route]]
name = "few"
path = "/few/{*rest}"
authenticate = "license"
forward = "api"
limits = ["few"]

[scheme.office.ip]
networks = ["198.51.100.0/24"]

[[route]]
name = "office"
path = "/office/{*rest}"
authenticate = "office"
forward = "api"

[[route]]
name = "inside"
host = "inside.example"
path = "/inside/{*rest}"
authenticate = "open"
forward = "api"
"""
# By its name: its files, the first of which it is started with, and the command.
PROXIES = {
    "nginx": (["nginx.conf"], ["nginx", "-p", ".", "-e", "stderr", "-g", "daemon off; pid nginx.pid; worker_processes 1;", "-c"]),
    "caddy": (["Caddyfile"], ["caddy", "run", "--adapter", "caddyfile", "--config"]),
    "traefik": (["traefik.yml", "dynamic.yml"], ["traefik", "--configFile"]),
    "envoy": (["envoy.yaml"], ["envoy", "--disable-hot-restart", "--concurrency", "1", "--log-level", "warn", "-c"]),
}


class Program:
    """A process with its log, which is ended with it."""

    def __init__(self, name, command, folder):
        self._log = folder / f"{name}.log"
        # Nothing of Caddy's is to lie in the home of a user.
        environment = {**os.environ, "ACME_LICENSE_KEY": KEY.removeprefix("LKey "), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def said(self):
        """Its log."""
        return self._log.read_text(errors="replace")

    def wait(self, look):
        """Waits until `look` finds something."""
        for _ in range(600):
            if found := look():
                return found
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        self.end()
        raise RuntimeError(f"{self._log.stem} does not listen:\n{self.said()}")

    def end(self):
        """Ends it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Vidgate(Program):
    """vidgate, with a listener for each convention."""

    def __init__(self, binary, folder):
        text = re.sub(r'(address = "127\.0\.0\.1):\d+"', r'\1:0"', (RECIPES / "vidgate.toml").read_text())
        (folder / "vidgate.toml").write_text(text + MORE)
        super().__init__("vidgate", [binary, "serve", "--config", "vidgate.toml"], folder)
        self.ports = self.wait(self._ports)

    def _ports(self):
        lines = [json.loads(line) for line in self.said().splitlines() if '"listening"' in line and line.endswith("}")]
        ports = {line["listener"]: int(line["address"].rpartition(":")[2]) for line in lines}
        return ports if len(ports) == 3 else None


class Proxy(Program):
    """A proxy with its recipe, in front of `upstream`."""

    def __init__(self, name, vidgate, upstream, folder):
        self.name, self.upstream = name, upstream
        self.port = _free_port()
        files, command = PROXIES[name]
        ports = {"8080": self.port, "8000": upstream.port, "8091": vidgate.ports["nginx"], "8092": vidgate.ports["forwarded"], "8093": vidgate.ports["envoy"]}
        for file in files:
            text = re.sub(r"(127\.0\.0\.1:|port_value: |http://:)(80\d\d)\b", lambda found: found[1] + str(ports[found[2]]), (RECIPES / file).read_text())
            (folder / file).write_text(_quietly(name, text))
        program = shutil.which(command[0], path=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")
        super().__init__(name, [program, *command[1:], files[0]], folder)
        self.wait(self._serves)

    def _serves(self):
        try:
            # Some listen before they know of any route.
            return ask(self.port, "GET /status").status == 200
        except (EOFError, OSError):
            return False


def _quietly(name, text):
    """Without what a machine has once, such as ports and folders of its own."""
    if name == "caddy":
        return "{\n\tadmin off\n\tauto_https off\n}\n" + text
    if name == "nginx":
        paths = "".join(f"{kind}_temp_path temp_{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return text.replace("http {", f"http {{ access_log off; {paths}", 1)
    return text


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
