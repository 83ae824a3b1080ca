"""The callers: wrk for load, and plain sockets for callers that wait or do not read."""

import contextlib
import os
import re
import socket
import subprocess
import time
import http.client

from machine import HERE

COUNTED = re.compile(
    r"COUNTED requests=(\d+) bytes=(\d+) microseconds=(\d+) p50=(\d+) p99=(\d+) status=(\d+) socket=(\d+)"
)


class Disturbed(Exception):
    """A measurement during which something failed: its figures mean nothing."""


def wrk(path, core, port, target, header, connections, seconds):
    """Drives one proxy for some seconds and returns what wrk counted."""
    command = [path, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", HERE / "wrk.lua"]
    if header:
        command += ["-H", f"Authorization: {header}"]
    child = subprocess.Popen(
        [*(str(part) for part in command), f"http://127.0.0.1:{port}{target}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        text, _ = child.communicate(timeout=seconds + 60)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    found = COUNTED.search(text)
    if not found:
        raise Disturbed(f"wrk said: {text.strip()}")
    names = ("requests", "bytes", "microseconds", "p50", "p99", "status", "socket")
    counted = dict(zip(names, (int(number) for number in found.groups())))
    if counted["status"] or counted["socket"]:
        raise Disturbed(f"{counted['status']} answers of another status, {counted['socket']} socket errors")
    return counted


def ask(port, target, header=None):
    """One polite request: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", target, headers={"Authorization": header} if header else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _request(port, target, header):
    credential = f"Authorization: {header}\r\n" if header else ""
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{credential}\r\n".encode()


@contextlib.contextmanager
def idle_connections(port, target, header, count, size):
    """Keeps `count` connections open, each of which has had one whole answer."""
    with contextlib.ExitStack() as open_connections:
        request = _request(port, target, header)
        for _ in range(count):
            caller = open_connections.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            caller.sendall(request)
            _read_answer(caller, size)
        yield


def _read_answer(caller, size):
    answer = b""
    while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < size:
        part = caller.recv(65536)
        if not part:
            raise Disturbed(f"closed after {len(answer)} bytes: {answer[:80]!r}")
        answer += part
    if not answer.startswith(b"HTTP/1.1 200"):
        raise Disturbed(f"answered {answer[:80]!r}")


@contextlib.contextmanager
def stalled_streams(port, target, header, count, seconds):
    """Asks `count` times for a large body, takes its first bytes and then reads no more: what is in between must wait."""
    with contextlib.ExitStack() as open_connections:
        request = _request(port, target, header)
        for _ in range(count):
            caller = open_connections.enter_context(socket.socket())
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            caller.settimeout(20)
            caller.connect(("127.0.0.1", port))
            caller.sendall(request)
            if not caller.recv(1024).startswith(b"HTTP/1.1 200"):
                raise Disturbed("a stream was refused")
        time.sleep(seconds)
        yield
