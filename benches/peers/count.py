"""What one relayed request takes: allocations, by callgrind, and system calls, by strace. What a start and an end take is not
counted."""

import collections
import http.client
import re
import subprocess
import time

import load
import machine

WARM = 300
REQUESTS = 1000
CONNECTIONS = 64
SECONDS = 2
# As callgrind writes a function with its callers: `mi_malloc_aligned'alloc::…'vidgate::…`.
ALLOCATES = re.compile(r"(mi_(malloc|zalloc|realloc)_aligned|malloc|calloc|realloc)\b")
# Crates that allocate for whoever calls them.
COLLECTIONS = {"alloc", "bytes", "core", "hashbrown", "http", "smallvec", "std"}
# Where the function that answers a request was compiled into the code that calls it.
SERVICE = "hyper::service::http::HttpService"


def count(bench, peer, asked):
    """Allocations of a request, those of our own code among them, and its system calls by name."""
    allocated = _allocations(bench, peer, asked) if peer.ours() else {}
    return sum(allocated.values()), allocated.get("vidgate", 0), _system_calls(bench, peer, asked)


def _allocations(bench, peer, asked):
    """One kept connection asks again and again."""
    out = bench.folder / f"{peer.name}.callgrind"
    valgrind = [bench.programs.path("valgrind"), "--tool=callgrind", "--quiet", "--separate-callers=6", f"--callgrind-out-file={out}"]
    process = bench.start(peer, valgrind)
    port, (target, header) = bench.ports[peer.name], asked(bench, peer)
    _ask(port, target, header, WARM)
    machine.run([machine.program("callgrind_control", "valgrind"), "--zero", process.tree()[-1]])
    _ask(port, target, header, REQUESTS)
    bench.end(peer.name)
    return _read(out.read_text())


def _ask(port, target, header, times):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(times):
        connection.request("GET", target, headers={"Authorization": header} if header else {})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise load.Disturbed(f"answered {answer.status} while it was counted")
    connection.close()


def _read(text):
    """Calls of the allocator in what callgrind wrote, by the crate of the first caller that is no collection."""
    names, found, caller, called = {}, collections.Counter(), "", ""
    for line in text.splitlines():
        if line.startswith(("fn=", "cfn=")):
            number, _, name = line.partition("=")[2].partition(" ")
            # A name is written out once.
            name = names.setdefault(number, name)
            if line.startswith("fn="):
                caller = name
            else:
                called = name
        elif line.startswith("calls=") and ALLOCATES.match(called) and not caller.startswith(("mi_", "_mi_")):
            found[_crate(caller.split("'"))] += int(line.partition("=")[2].split()[0])
    return {name: times / REQUESTS for name, times in found.items()}


def _crate(callers):
    for caller in callers:
        crate = re.search(r"[A-Za-z_0-9]+", caller)
        if SERVICE in caller:
            return "vidgate"
        if crate and crate.group() not in COLLECTIONS:
            return crate.group()
    return "unknown"


def _system_calls(bench, peer, asked):
    """As many connections as there are when CPU is measured."""
    process = bench.start(peer)
    port, (target, header) = bench.ports[peer.name], asked(bench, peer)
    wrk, core, out = bench.programs.path("wrk"), bench.cores.load, bench.folder / f"{peer.name}.strace"
    load.wrk(wrk, core, port, target, header, CONNECTIONS, 1)
    watched = [word for pid in process.tree() for word in ("-p", str(pid))]
    strace = subprocess.Popen([bench.programs.path("strace"), "-f", "-c", "-o", out, *watched], stderr=subprocess.PIPE, text=True)
    try:
        # It says so once it is attached to each thread, and then nothing.
        strace.stderr.readline()
        time.sleep(0.5)
        asked_for = load.wrk(wrk, core, port, target, header, CONNECTIONS, SECONDS)["requests"]
    finally:
        strace.send_signal(2)
        strace.wait(20)
        bench.end(peer.name)
    # % time, seconds, usecs/call, calls, errors if any, syscall
    rows = (line.split() for line in out.read_text().splitlines())
    return {row[-1]: int(row[3]) / asked_for for row in rows if len(row) >= 5 and row[3].isdigit() and row[-1] != "total"}
