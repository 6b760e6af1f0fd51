"""`urface export`: a model of ours as one ONNX file, compared with the original before it is put in place."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch

import urface
from urface.atomic import atomic_path
from urface.embedder import Embedder, load
from urface.export.graph import PlainURFace
from urface.export.parity import Difference, compared
from urface.models.heads import ConstantConfidence
from urface.recognisers.onnx_ours import FORMAT, KEY, OUTPUTS
from urface.template import TEMPLATE, TEMPLATE_SIZE
from urface.types import UserError

OPSET = 18
TOLERANCE = 1e-4
EXAMPLE_BATCH = 2  # with 1 the exporter would take the batch for a constant


def export_onnx(model: str | Path, out: str | Path, *, digest: str) -> Difference:
    """Write ``model`` (what ``urface.load`` takes) to the file ``out``, whole or not at all.

    digest  the SHA-256 of its weights, kept in the file

    The file is run by ONNX Runtime in a process of its own, and refused with UserError where it differs from
    the Embedder by more than 1e-4: absolute for the mean, relative for confidence and variance. Returns the
    differences. Raises UserError too where onnx, onnxscript or onnxruntime is missing.
    """
    out = Path(out)
    if out.suffix != ".onnx" or out.is_dir():
        raise UserError(f"{out}: name a file that ends in .onnx")
    require_packages()
    embedder = load(model, "cpu", "fp32")
    program = traced(embedder)
    program.model.metadata_props[KEY] = json.dumps(told(embedder, digest))
    with atomic_path(out) as temporary:
        # Without external data: one file, and a runtime that reads it opens no other.
        program.save(str(temporary), external_data=False)
        difference = compared(temporary.read_bytes(), str(out), embedder)
        if not difference.largest <= TOLERANCE:
            raise UserError(
                f"{out}: not written, since ONNX Runtime's answers differ from the model's by "
                f"{difference.largest:.2g}, more than {TOLERANCE:g}: {difference}"
            )
    return difference


def require_packages() -> None:
    """Raise UserError with what to install where a package is missing."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise UserError("export needs more packages: pip install 'urface[export]'") from None


def traced(embedder: Embedder) -> Any:
    """torch's ONNXProgram of the model, its batch free."""
    graph = PlainURFace(embedder.model).eval()
    size = embedder.settings.input_size
    pixels = torch.zeros(EXAMPLE_BATCH, 3, size, size)
    batch = torch.export.Dim("batch", min=1)
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter(
            "ignore"
        )  # of the exporter about its own parts, and its log about torchvision
        logger.setLevel(logging.ERROR)
        try:
            return torch.onnx.export(
                graph,
                (pixels,),
                dynamo=True,
                dynamic_shapes={"pixels": {0: batch}},
                input_names=["pixels"],
                output_names=list(OUTPUTS),
                opset_version=OPSET,
                verbose=False,
            )
        finally:
            logger.setLevel(before)


def told(embedder: Embedder, digest: str) -> dict[str, Any]:
    """What the file says of itself, under the key ``urface`` of its metadata: JSON."""
    settings, facts = embedder.settings, embedder.facts
    model = embedder.model
    fixed = isinstance(model.confidence_head, ConstantConfidence)
    return {
        "format": FORMAT,
        "urface": urface.__version__,
        "model_sha256": digest,
        "input": {
            "layout": "[B, 3, S, S] float32, RGB, 0 to 255",
            "size": settings.input_size,
            "frame": settings.frame_size,
        },
        "sub_embeddings": settings.sub_embeddings,
        "confidence": not fixed,
        "variance": model.uncertainty_head is not None or not fixed,
        "template": {"size": TEMPLATE_SIZE, "points": TEMPLATE.tolist()},
        "decision": facts.get("decision"),
        "card": facts.get("card"),
    }
