"""A model on disk: one safetensors file whose header holds the settings as JSON. No code runs on load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from urface.atomic import atomic_path, tensor_errors
from urface.config import ModelSettings, ObjectiveSettings, as_dict, model_from_dict
from urface.models.box import model_path
from urface.models.urface import URFace, add_uncertainty_head, build_urface
from urface.types import UserError

FORMAT = "urface-model-1"


def save_model(
    path: str | Path,
    model: URFace,
    settings: ModelSettings,
    objective: ObjectiveSettings,
    facts: dict[str, Any],
) -> None:
    """Write ``model`` whole or not at all; ``facts`` is what to know of its training, as plain JSON."""
    header = {
        "format": FORMAT,
        "model": as_dict(settings),
        "objective": as_dict(objective),
        "uncertainty": model.uncertainty_head is not None,
        "facts": facts,
    }
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    with atomic_path(path) as temporary, tensor_errors(temporary):
        save_file(state, temporary, metadata={"urface": json.dumps(header)})


def add_facts(path: str | Path, facts: dict[str, Any]) -> None:
    """Put ``facts`` beside those in a model's header; the weights stay as they are, byte for byte."""
    path = Path(path)
    with safe_open(str(path), framework="pt") as file:
        header = json.loads(file.metadata()["urface"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header["facts"] = (header["facts"] or {}) | facts
    with atomic_path(path) as temporary, tensor_errors(temporary):
        save_file(state, temporary, metadata={"urface": json.dumps(header)})


def load_model(path: str | Path) -> tuple[URFace, ModelSettings, dict[str, Any]]:
    """The model in eval mode, its settings and the facts of its training.

    ``path`` is a model file, a folder with a model.safetensors in it, or the word demonstration. Raises
    UserError with what is wrong for anything else.
    """
    path = model_path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a model.safetensors or the folder of a run")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            if "urface" not in metadata:
                raise UserError(f"{path}: not a urface model (no settings in its header)")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(metadata["urface"])
        if header.get("format") != FORMAT:
            raise UserError(f"{path}: format {header.get('format')!r}, this urface reads {FORMAT}")
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from None
    except (AttributeError, RecursionError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: its header is not urface's ({_one_line(error)})") from None
    try:
        settings = model_from_dict(header["model"])
        model = build_urface(settings, ObjectiveSettings(**header["objective"]))
        if header["uncertainty"]:
            outputs = len(state["uncertainty_head.fc.bias"])
            add_uncertainty_head(model, per_dimension=outputs != settings.sub_embeddings)
        model.load_state_dict(state)
        facts = header["facts"] or {}
        if not isinstance(facts, dict):
            raise TypeError(f"its facts are {type(facts).__name__}")
    except BROKEN as error:
        raise UserError(
            f"{path}: its header does not fit its weights ({_one_line(error)})"
        ) from None
    return model.eval(), settings, facts


# What settings of the wrong type, out of range or of another model end in (UserError is a ValueError).
BROKEN = (
    KeyError,
    TypeError,
    AttributeError,
    ValueError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
