"""Work in a process of its own: forked from a server that has imported torch and training once for all.

A process that imports torch anew takes longer to start than most of what tests of ranks and of kills then
do in it. The server runs nothing but imports: it has no thread of Python's, and what it forks may fork again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

TESTS = Path(__file__).parent
CONTEXT = multiprocessing.get_context("forkserver")
# An optimiser imports torch._dynamo, which takes most of the time of a short training's process.
CONTEXT.set_forkserver_preload(["pytest", "torch._dynamo", "training.forked", "training.saving"])


def apart(work: Callable[..., Any], *arguments: object, seconds: float = 280) -> Any:
    """What ``work(*arguments)`` gives in another process, which ends with all it started.

    ``work`` is a function of a module. What it raises is an AssertionError with its traceback, as is that it
    took over ``seconds``.
    """
    _serve()
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_told, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    try:
        assert ours.poll(seconds), f"{work.__name__} took over {seconds} seconds"
        problem, found = ours.recv()
    except EOFError:
        process.join()
        raise AssertionError(f"{work.__name__} ended with {process.exitcode}") from None
    finally:
        if process.pid is not None and process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        ours.close()
    assert problem is None, problem
    return found


def _serve() -> None:
    """Start the server where it is not running; the modules that it imports lie beside this one."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), *([before] if before else [])])
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _told(answer: Connection, work: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    os.setpgid(0, 0)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # whatever this machine's name resolves to
    torch.set_num_threads(1)
    try:
        answer.send((None, work(*arguments)))
    except BaseException:
        answer.send((traceback.format_exc(), None))
