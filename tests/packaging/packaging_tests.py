"""What operators install, held to what reads it in the end: `run` makes it and starts this."""

import concurrent.futures
import pathlib
import signal
import sys
import tempfile
import traceback

import debian
import image
import installed
import kubernetes
import shells
import units

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def tried(test):
    """Runs one in a folder of its own; what came of it, and whether it is good."""
    with tempfile.TemporaryDirectory(prefix="vidgate-packaging-") as folder:
        try:
            skipped = test(pathlib.Path(folder))
            return (f"skipped {test.__name__}: {skipped}" if skipped else f"ok      {test.__name__}"), True
        except Exception:
            return f"FAILED  {test.__name__}\n{traceback.format_exc()}", False


def main():
    """Runs every test."""
    for number in STOPPING:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    # The two that take longest come first, beside the others.
    tests = [test for room in (installed, debian, shells, units, image, kubernetes) for test in room.TESTS]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as two:
        for said, good in two.map(tried, tests):
            failed += not good
            print(said, flush=True)
    print(f"packaging: {len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
