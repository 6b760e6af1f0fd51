"""Run the notebooks of docs/notebooks and keep what they print and draw: `python docs/make_notebooks.py`

They are a series: the first trains the model that the others use, in any order. All run in one process,
emptied in between, which saves its start and imports, and in a temporary folder; none may open a connection
to another machine. With --check nothing is written; a cell that fails ends it with its error and exit code 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from notebook_digest import digest

FOLDER = Path(__file__).resolve().parent / "notebooks"
ORDER = ("train", "compare", "uncertainty", "bad_images", "gallery")
LONGEST = 240  # seconds that one cell may take, on a machine that does other things besides

# Threads of a process this small only wait for each other, and results would depend on their number.
QUIET = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
ALONE = """
import socket, sys
def _alone(event, arguments):
    if event == "socket.getaddrinfo" and arguments[0] not in (None, "localhost", "127.0.0.1"):
        raise PermissionError(f"a notebook asked for the address of {arguments[0]}")
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] != "127.0.0.1":
        raise PermissionError(f"a notebook wanted to connect to {arguments[1][0]}")
sys.addaudithook(_alone)
%config InlineBackend.figure_formats = ["png"]
%config InteractiveShell.ast_node_interactivity = "none"
%matplotlib inline
import matplotlib
matplotlib.rcParams.update({"figure.dpi": 80, "savefig.bbox": "tight", "axes.spines.top": False,
                            "axes.spines.right": False})
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="run them, write nothing")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the notebooks")
    parser.add_argument("names", nargs="*", default=ORDER, help="which, in order (all)")
    given = parser.parse_args(arguments)
    with TemporaryDirectory() as room, kernel(room) as manager:
        for name in given.names:
            path = given.folder / f"{name}.ipynb"
            notebook = nbformat.read(path, as_version=4)
            try:
                run(notebook, manager, room)
            except CellExecutionError as error:
                print(f"{path.name}: {error}", file=sys.stderr)
                return 1
            if not given.check:
                path.write_text(nbformat.writes(notebook) + "\n")
            print(f"{path.name}: ran", flush=True)
    return 0


@contextmanager
def kernel(room: str) -> Iterator[KernelManager]:
    """A process for the cells, of the interpreter that runs this."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=room, env={**os.environ, **QUIET})
    try:
        yield manager
    finally:
        manager.shutdown_kernel(now=True)


def run(notebook: Any, manager: KernelManager, room: str) -> None:
    """Fill in the outputs of ``notebook``; raises CellExecutionError where a cell fails."""
    cells = notebook.cells
    notebook.cells = [nbformat.v4.new_code_cell(line) for line in ("%reset -f", ALONE)] + cells
    client = NotebookClient(
        notebook, km=manager, timeout=LONGEST, startup_timeout=LONGEST, record_timing=False
    )
    client.execute(cwd=room, cleanup_kc=False)
    notebook.cells = cells
    for cell in cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]  # progress bars
    notebook.metadata = {"ran": digest(notebook), "language_info": {"name": "python"}}


if __name__ == "__main__":
    sys.exit(main())
