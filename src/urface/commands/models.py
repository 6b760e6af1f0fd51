"""The options by which a command takes any model, and the model they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from urface.commands.parser import CommandParser, note

if TYPE_CHECKING:
    from urface.recognisers.recogniser import Preprocessing, Recogniser

MODEL_HELP = (
    "a model of ours or the folder of a run, weights (.safetensors, .pth), .onnx, or features"
)


def add_weight_options(parser: CommandParser) -> None:
    """--architecture, --preprocessing and --sha256, of commands that take weights."""
    parser.add("--architecture", str, "", help="iresnet50, adaface_ir101, ...; told by the weights")
    parser.add(
        "--preprocessing",
        str,
        "",
        help="insightface, adaface, or colour=bgr,mean=0,scale=1/255,size=112; its family's convention",
    )
    parser.add("--sha256", str, "", help="what the file's SHA-256 must be")


def add_model_options(parser: CommandParser, several: bool = False) -> None:
    """MODEL (``given.model``; with ``several`` ``given.models``) and all that says how it is to be read."""
    if several:
        parser.add_argument("models", nargs="+", metavar="MODEL", help=MODEL_HELP)
    else:
        parser.add("model", str, help=MODEL_HELP)
    add_reading_options(parser)


def add_reading_options(parser: CommandParser) -> None:
    """All that says how a model is to be read, of commands that name it in their own way."""
    add_weight_options(parser)
    parser.add("--parts", int, 0, help="sub-embeddings to split the embedding into (0: as it is)")
    parser.add("--features", str, "", help="the features that a branch on features is applied to")
    parser.add_flag("--no_check", help="do not try the preprocessing on synthetic faces")


def declared(given: Any) -> Preprocessing | None:
    """The preprocessing that --preprocessing declares, None without it."""
    from urface.recognisers.preprocessing import read_preprocessing

    return read_preprocessing(given.preprocessing) if given.preprocessing else None


def open_given(given: Any, parts: int | None = None, path: str = "") -> Recogniser:
    """The model in ``path``, or ``given.model`` without it, read as the options say, with a warning on
    stderr where its preprocessing looks wrong."""
    from urface.recognisers.open import open_recogniser
    from urface.recognisers.sanity import preprocessing_warning

    recogniser = open_recogniser(
        path or given.model,
        architecture=given.architecture,
        preprocessing=declared(given),
        parts=(given.parts or 1) if parts is None else parts,
        features=given.features or None,
        sha256=given.sha256,
    )
    warning = None if given.no_check else preprocessing_warning(recogniser)
    if warning:
        note(f"warning: {warning}")
    return recogniser
