"""Holds the page of metrics of a running gateway, and the rules of alerts, to promtool."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

CONFIGURATION = """
[monitoring]
address = "{monitoring}"
[listener.public]
address = "{public}"
[upstream.api]
# Nobody listens there: a request that fails is counted as well.
endpoints = ["http://{nobody}"]
[scheme.license.lkey]
[limit.few]
rate = "1/1h"
per = "address"
[[account]]
id = "acme"
license_key = [{{ id = "main", key = "a-key-of-this-test" }}]
[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "license"
forward = "api"
limits = ["few"]
"""
PATIENCE = 180
counts = {"passed": 0, "failed": 0}


def reserved():
    """A port at which nobody listens, and that is given to nobody else: a gateway can be bound over it."""
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.bind(("127.0.0.1", 0))
    return own, "127.0.0.1:%d" % own.getsockname()[1]


def ask(address, path, headers=None):
    """The status and the text of an answer."""
    request = urllib.request.Request(f"http://{address}{path}", headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def holds(what, words, text=""):
    """Whether promtool finds nothing; what it says is shown where it does."""
    ended = subprocess.run(["promtool", *words], input=text, capture_output=True, text=True, check=False)
    # Advice of `check metrics` ends with 3.
    good = ended.returncode == 0 and not ended.stderr.strip()
    counts["passed" if good else "failed"] += 1
    if not good:
        print(f"FAILED: {what}\n{ended.stdout}{ended.stderr}")


def page(binary, folder):
    """The metrics of a gateway that has let in, refused, limited and failed requests."""
    sockets, (monitoring, public, nobody) = zip(*(reserved() for _ in range(3)))
    path = os.path.join(folder, "vidgate.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONFIGURATION.format(monitoring=monitoring, public=public, nobody=nobody))
    with open(os.path.join(folder, "log"), "w", encoding="utf-8") as log:
        gateway = subprocess.Popen([binary, "serve", "--config", path], stdout=log, stderr=log)
    try:
        for _ in range(PATIENCE * 10):
            try:
                if ask(monitoring, "/ready")[0] == 200:
                    break
            except OSError:
                pass
            if gateway.poll() is not None:
                with open(os.path.join(folder, "log"), encoding="utf-8") as log:
                    sys.exit("the gateway has ended: " + log.read())
            time.sleep(0.1)
        key = {"Authorization": "LKey a-key-of-this-test"}
        statuses = [ask(public, "/a", headers)[0] for headers in ({}, key, key)]
        assert statuses == [401, 502, 429], statuses
        status, text = ask(monitoring, "/metrics")
        assert status == 200 and 'vidgate_requests_total{' in text, text
        return text
    finally:
        gateway.kill()
        gateway.wait()
        del sockets


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        holds("the page of metrics", ["check", "metrics"], page(sys.argv[1], folder))
    rules = os.path.join(here, "..", "..", "config", "prometheus", "alerts.yml")
    holds("the rules of alerts", ["check", "rules", rules])
    holds("the configuration", ["check", "config", os.path.join(os.path.dirname(rules), "prometheus.yml")])
    holds("alerts as they come and go", ["test", "rules", os.path.join(here, "alerts_test.yml")])
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(counts["failed"] > 0)


main()
