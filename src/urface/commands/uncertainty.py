"""`urface uncertainty`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from urface.commands.models import add_model_options, open_given
from urface.commands.parser import CommandParser, note
from urface.types import UserError

SUMMARY = """\
Teach a model that was trained by anyone how sure it is of each face: a branch that says a variance for
each sub-embedding is trained on genuine pairs of FACES, and nothing of the model changes (probabilistic
face embeddings). <OUT>/model.safetensors then has likelihood scores and fusion beside the cosine.

Where MODEL is ours, an iresnet or an IR network, the branch sees the features before the last fully
connected layer. Of an ONNX model and of features only the output is known: the branch is a small
perceptron on that, and knows less. For features, the keys of FACES must be those of the features."""
EXAMPLES = """\
  urface uncertainty iresnet50.pth --data faces.tar --parts 16 -o runs/sure
  urface uncertainty model.onnx --preprocessing insightface --data faces/ -o runs/sure
  urface uncertainty features.npz --data faces/manifest.parquet --steps 1000 -o runs/sure"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface uncertainty", SUMMARY, EXAMPLES)
    add_model_options(parser)
    parser.add("--data", str, required=True, help="faces of people, at least two of some")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="folder for model.safetensors"
    )
    parser.add_flag("--per_dimension", help="a variance for each dimension, not each sub-embedding")
    parser.add("--steps", int, 3000, help="of the training")
    parser.add("--identities", int, 64, help="people in a step")
    parser.add("--images_per_identity", int, 4, help="faces of each")
    parser.add("--learning_rate", float, 1e-3, help="of Adam; a tenth of it in the last third")
    parser.add("--low_resolution", float, 0.3, help="probability that a face is blurred")
    parser.add("--occlusion", float, 0.3, help="probability that a face is covered in part")
    parser.add("--corrupt_share", float, 0.001, help="share of images that may be undecodable")
    parser.add("--seed", int, 0, help="of the draws")
    parser.add("--threads", int, 0, help="of torch (0: as many as there are cores)")
    parser.add("--precision", Literal["auto", "bf16", "fp32"], "auto", help="of the network")
    given = parser.read(arguments)
    output = Path(given.output)
    if (output / "model.safetensors").exists():
        raise UserError(f"{output}: holds a model already; choose another folder")
    settings = _settings(given, output)

    from urface.data.open import open_faces
    from urface.training.branch import add_branch

    source = open_faces(given.data)
    recogniser = open_given(given, parts=1)
    path = add_branch(recogniser, source, settings, given.parts)
    note(f"{path}: {recogniser.parts} sub-embeddings, each with its variance")
    print(path)
    return 0


def _settings(given: Any, output: Path) -> Any:
    """Stage two's settings, checked before anything is opened."""
    from urface.config import (
        DataSettings,
        RunSettings,
        TrainSettings,
        UncertaintySettings,
        VariationSettings,
    )

    if given.steps < 1 or given.parts < 0:
        raise UserError(
            f"--steps must be at least 1 and --parts 0 or more: {given.steps}, {given.parts}"
        )
    return TrainSettings(
        data=DataSettings(given.data, corrupt_share=given.corrupt_share),
        variations=VariationSettings(
            low_resolution=given.low_resolution, occlusion=given.occlusion
        ),
        uncertainty=UncertaintySettings(
            given.steps,
            given.identities,
            given.images_per_identity,
            given.learning_rate,
            per_dimension=given.per_dimension,
        ),
        run=RunSettings(str(output), given.seed, threads=given.threads, precision=given.precision),
    )
