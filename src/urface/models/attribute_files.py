"""An attribute network on disk: safetensors with its settings as JSON, like models/files.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from urface.atomic import atomic_path
from urface.models.attributes import AttributeNet
from urface.types import UserError

FORMAT = "urface-attributes-1"


class AttributeModel(NamedTuple):
    """The network in eval mode, the sides of its frames and of its input, what to know of its training."""

    network: AttributeNet
    frame_size: int
    input_size: int
    facts: dict[str, Any]


def save_attributes(path: str | Path, model: AttributeModel) -> None:
    """Write ``model`` whole or not at all."""
    header = {
        "format": FORMAT,
        "attributes": list(model.network.names),
        "frame_size": model.frame_size,
        "input_size": model.input_size,
        "facts": model.facts,
    }
    state = {k: v.detach().cpu().contiguous() for k, v in model.network.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={"urface": json.dumps(header)})


def load_attributes(path: str | Path) -> AttributeModel:
    """Read what ``save_attributes`` wrote: a file, or a folder with a model.safetensors in it.

    Raises UserError with what is wrong for anything else.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the model.safetensors of `urface mine train`")
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("urface", "{}"))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header.get("format") != FORMAT:
            raise UserError(
                f"{path}: not an attribute model: its format is {header.get('format')!r}, this urface "
                f"reads {FORMAT}, which `urface mine train` writes"
            )
        network = AttributeNet(header["attributes"])
        network.load_state_dict(state)
        sizes = int(header["frame_size"]), int(header["input_size"])
        facts = header["facts"]
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from None
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{path}: its header does not fit its weights ({reason})") from None
    return AttributeModel(network.eval(), *sizes, facts)
