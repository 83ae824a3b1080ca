"""The callers: wrk for load, and plain sockets for callers that wait or do not read."""

import contextlib
import os
import re
import socket
import subprocess
import time
import http.client

from machine import HERE

SHAKEN = re.compile(r"(\d+) connections in (\d+) real seconds")
COUNTED = re.compile(
    r"COUNTED requests=(\d+) bytes=(\d+) microseconds=(\d+) p50=(\d+) p99=(\d+) status=(\d+) socket=(\d+)"
)


class Disturbed(Exception):
    """A measurement during which something failed: its figures mean nothing."""


def wrk(path, core, port, target, header, connections, seconds, scheme="http"):
    """Drives one proxy for some seconds and returns what wrk counted."""
    command = [path, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", HERE / "wrk.lua"]
    if header:
        command += ["-H", f"Authorization: {header}"]
    child = subprocess.Popen(
        [*(str(part) for part in command), f"{scheme}://127.0.0.1:{port}{target}"],
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


def streams(path, core, port, target, requests=50_000):
    """So many requests over HTTP/2 and TLS, sixteen at once on each of eight connections."""
    command = [str(path), f"-n{requests}", "-c8", "-m16", f"https://127.0.0.1:{port}{target}"]
    pinned = {"preexec_fn": lambda: os.sched_setaffinity(0, {core})}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **pinned)
    if f"{requests} succeeded" not in done.stdout or f"{requests} 2xx" not in done.stdout:
        raise Disturbed(f"h2load said: {(done.stdout + done.stderr).strip()[-300:]}")


def shake_hands(path, core, port, version, callers, seconds):
    """Has so many callers at once make one full handshake after the other, and nothing else; returns how many they made."""
    # The authorities of the host would be read at each start, and nobody is judged by them here.
    plain = ["-no-CAfile", "-no-CApath", "-no-CAstore"]
    command = [str(path), "s_time", "-connect", f"127.0.0.1:{port}", f"-{version}", "-new", "-time", str(seconds), *plain]
    children = []
    try:
        for _ in range(callers):
            children.append(
                subprocess.Popen(
                    command,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    preexec_fn=lambda: os.sched_setaffinity(0, {core}),
                )
            )
        said = [child.communicate(timeout=seconds + 60)[0] for child in children]
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
                child.wait()
    found = [SHAKEN.search(text) for text in said]
    for child, text, one in zip(children, said, found):
        if child.returncode or not one:
            raise Disturbed(f"openssl s_time ended with {child.returncode}: {text.strip()[-300:]}")
    return sum(int(one.group(1)) for one in found)


def agreed(path, port, version, authorities):
    """What a caller of this version agrees on with a server that these authorities vouch for: protocol, cipher, key
    exchange, and whether the server gave it something to resume the session with."""
    command = [str(path), "s_client", "-connect", f"127.0.0.1:{port}", f"-{version}", "-CAfile", str(authorities), "-verify_return_error"]
    request = "GET /json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    done = subprocess.run([*command, "-servername", "localhost", "-ign_eof"], input=request, capture_output=True, text=True, timeout=20)
    found = re.search(r"^New, (\S+), Cipher is (\S+)$", done.stdout, re.M)
    key = re.search(r"^Server Temp Key: (.+?),", done.stdout, re.M)
    if not found or "HTTP/1.1 200" not in done.stdout:
        raise Disturbed(f"no handshake, or no answer: {(done.stdout + done.stderr).strip()[-300:]}")
    return found.group(1), found.group(2), key.group(1) if key else "none", "TLS session ticket" in done.stdout


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
