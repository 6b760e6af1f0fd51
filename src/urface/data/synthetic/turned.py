"""The same synthetic face at another yaw: the true view, not one made from its picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from urface.data.synthetic.face import RENDERER_VERSION, render_face
from urface.data.synthetic.shot import ShotStyle
from urface.data.synthetic.write import MARKER
from urface.types import UserError


def true_views(folders: Sequence[str | Path]) -> Callable[[str, float], np.ndarray] | None:
    """(key such as p00012/003.jpg, yaw in degrees) -> [size, size, 3] uint8, all else as in the picture.

    ``folders`` were written by ``write_synthetic``, alike but for their people. None where one is not
    such a folder, or of another renderer: there is no true view then.
    """
    found = []
    for folder in folders:
        marker = Path(folder) / MARKER
        if not marker.is_file():
            return None
        values = json.loads(marker.read_text(encoding="utf-8"))
        found.append(
            {name: values.get(name) for name in ("renderer_version", "seed", "size", "style")}
        )
    if not found or any(values != found[0] for values in found[1:]):
        return None
    if found[0]["renderer_version"] != RENDERER_VERSION:
        return None
    values = found[0]["style"]
    if values["light"] is not None:
        values["light"] = tuple(values["light"])
    style = ShotStyle(**values)
    seed, size = int(found[0]["seed"]), int(found[0]["size"])

    def turn(key: str, yaw: float) -> np.ndarray:
        person, _, file = key.partition("/")
        try:
            identity, shot = int(person.removeprefix("p")), int(file.partition(".")[0])
        except ValueError:
            raise UserError(f"{key}: not the name of a synthetic face") from None
        return render_face(seed, identity, shot, size, style=replace(style, yaw=yaw)).image

    return turn
