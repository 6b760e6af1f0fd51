"""`urface`: picks the command and turns what went wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from urface.commands.parser import Command, dispatch
from urface.memory import keep_freed_memory
from urface.types import UserError

COMMANDS = {
    "train": Command(
        "urface.commands.train", "train a model on folders, tars or manifests of faces"
    ),
    "evaluate": Command("urface.commands.evaluate", "judge models on benchmarks"),
    "align": Command("urface.commands.align", "photos to aligned faces and a manifest of outcomes"),
    "embed": Command("urface.commands.embed", "photos, videos or crops to a file of embeddings"),
    "compare": Command("urface.commands.compare", "two photos: score, verdict, uncertainties"),
    "export": Command("urface.commands.export", "a model as one ONNX file, checked against it"),
    "gallery": Command("urface.commands.gallery", "enrol people, search them, say who it is"),
    "import-weights": Command(
        "urface.commands.import_weights", "weights of InsightFace or AdaFace to a urface model"
    ),
    "uncertainty": Command(
        "urface.commands.uncertainty", "teach any frozen model how sure it is of each face"
    ),
    "reproduce": Command(
        "urface.commands.reproduce", "the paper's comparison, down to a report page"
    ),
    "mine": Command("urface.commands.mine", "learn attributes, label a data set with them"),
    "figures": Command("urface.commands.figures", "the paper's figures and two more, explained"),
    "serve": Command("urface.commands.serve", "a page and an API for photos, on this machine"),
    "data": Command("urface.commands.data", "make synthetic faces, look at a data set, check it"),
}

SUMMARY = "Face recognition that knows what it does not know."
EXAMPLES = """\
  urface reproduce --recipe demo
  urface train --recipe cpu-small --data.train faces.tar --run.out runs/mine
  urface compare runs/mine/model.safetensors a.jpg b.jpg"""

USER_CAN_FIX = 2
INTERRUPTED = 130
PIPE_CLOSED = 141  # 128 + SIGPIPE, what a shell reports of `cat | head`


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `urface` with ``arguments`` (those of the process without them).

    0 when done, 2 with one line on stderr when the user can put it right, 130 when interrupted.
    """
    if arguments is None:  # this process is the command's own
        # A service lives long: the memory of its one largest photo should not stay for good.
        keep_freed_memory(large_too=sys.argv[1:2] != ["serve"])
    try:
        code = dispatch(
            "urface",
            SUMMARY,
            EXAMPLES,
            COMMANDS,
            list(sys.argv[1:] if arguments is None else arguments),
        )
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more at its end, which would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        print("urface: interrupted", file=sys.stderr)
        return INTERRUPTED
    except UserError as error:
        return _complain(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}")
    return code


def _complain(message: str) -> int:
    print(f"urface: error: {' '.join(message.split())}", file=sys.stderr)
    return USER_CAN_FIX
