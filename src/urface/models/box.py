"""Where a model's file is: as named, in the folder of a run, or in the box that comes with urface."""

from __future__ import annotations

from pathlib import Path

from urface.types import UserError

DEMONSTRATION = "demonstration"
BOX = Path(__file__).resolve().parents[1] / "box"
MODEL = "model.safetensors"


def model_path(path: str | Path) -> Path:
    """The file that ``path`` means.

    The word ``demonstration`` (a str) means the model in the box; a folder of that name is reached as
    ``./demonstration``. A folder means the model.safetensors in it. Anything else is the file itself, which
    need not be there.
    """
    if is_demonstration(path):
        return BOX / f"{DEMONSTRATION}.safetensors"
    path = Path(path)
    return path / MODEL if path.is_dir() else path


def is_demonstration(path: str | Path) -> bool:
    """Whether ``path`` is the word that means the model in the box."""
    # Only as text: Path("./demonstration") and Path("demonstration") are the same.
    return isinstance(path, str) and path == DEMONSTRATION


def refuse_to_change_the_box(path: str | Path) -> None:
    """Raise UserError where ``path`` means the model in the box, which others use too."""
    if is_demonstration(path) or model_path(path).resolve() == BOX / f"{DEMONSTRATION}.safetensors":
        raise UserError(
            f"the demonstration model is part of urface and is not changed: copy {model_path(path)} and give "
            "the copy"
        )
