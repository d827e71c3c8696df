"""Named checks. Each prints one line, so that the Rust test can tell that every one of them ran."""

import asyncio
import inspect
import sys
import traceback

CHECKS = []
SECONDS_MAX = 40


def check(function):
    """Registers a check under its function's name."""
    CHECKS.append(function)
    return function


async def run(*arguments):
    """Runs every check, in the order of the file, with the same arguments."""
    for function in CHECKS:
        try:
            outcome = function(*arguments)
            if inspect.isawaitable(outcome):
                await asyncio.wait_for(outcome, SECONDS_MAX)
            print("ok", function.__name__, flush=True)
        except Exception as error:  # A check that fails must not hide the ones after it.
            traceback.print_exc(file=sys.stderr)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print("FAIL", function.__name__, reason, flush=True)


def equal(found, expected, what="value"):
    """`assert` with both sides in the message."""
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {found!r}")
