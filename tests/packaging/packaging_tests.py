"""What operators install, held to what reads it in the end: `run` makes it and starts this."""

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


def main():
    """Runs every test, each in a folder of its own."""
    for number in STOPPING:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    failed = 0
    tests = [test for room in (shells, units, debian, installed, image, kubernetes) for test in room.TESTS]
    for test in tests:
        with tempfile.TemporaryDirectory(prefix="vidgate-packaging-") as folder:
            try:
                skipped = test(pathlib.Path(folder))
                print(f"skipped {test.__name__}: {skipped}" if skipped else f"ok      {test.__name__}", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED  {test.__name__}\n{traceback.format_exc()}", flush=True)
    print(f"packaging: {len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
