"""`urface import-weights`."""

from __future__ import annotations

from typing import Literal

from urface.commands.parser import CommandParser
from urface.types import UserError

SUMMARY = """\
Make a urface model of the weights of an InsightFace iresnet: <OUT>/model.safetensors, one embedding
with a constant confidence, for embed, compare and evaluate. FILE is a .safetensors file under
InsightFace's names; a .pth must be converted first, since reading one can run code."""
EXAMPLES = """\
  urface import-weights backbone.safetensors -o models/r50
  urface import-weights backbone.safetensors --backbone iresnet100 -o models/r100"""

Backbone = Literal["auto", "iresnet18", "iresnet34", "iresnet50", "iresnet100", "iresnet200"]


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface import-weights", SUMMARY, EXAMPLES)
    parser.add("file", str, help="InsightFace's weights, .safetensors")
    parser.add("--backbone", Backbone, "auto", help="auto tells it by the weights")
    parser.add("--input_size", int, 112, help="side of the faces it was trained on, 64 to 128")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="folder for model.safetensors"
    )
    given = parser.read(arguments)
    if not 64 <= given.input_size <= 128:
        raise UserError(f"--input-size must be from 64 to 128, got {given.input_size}")

    from urface.models.insightface import import_insightface

    backbone = None if given.backbone == "auto" else given.backbone
    print(import_insightface(given.file, given.output, backbone, given.input_size))
    return 0
