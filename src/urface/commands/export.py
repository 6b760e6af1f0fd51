"""`urface export`: a model as one ONNX file."""

from __future__ import annotations

from urface.commands.parser import CommandParser, note

SUMMARY = """\
Write a model as one ONNX file: RGB pixels 0 to 255 in, [B, 3, S, S] float32; mean, confidence and variance
out. ONNX Runtime runs the file beside the model before it is put in place, and a file that differs is
not written. examples/run_onnx.py runs it without urface."""
EXAMPLES = """\
  urface export demonstration -o demonstration.onnx
  urface export runs/mine/model.safetensors --output mine.onnx"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface export", SUMMARY, EXAMPLES)
    parser.add("model", str, help="model.safetensors, the folder of a run, or demonstration")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="a file, .onnx")
    given = parser.read(arguments)
    from urface.export.onnx import export_onnx
    from urface.models.box import model_path
    from urface.models.files import load_model
    from urface.recognisers.network import digest_of_ours

    load_model(given.model)  # its words for what is no model of ours
    path = model_path(given.model)
    difference = export_onnx(given.model, given.output, digest=digest_of_ours(path))
    note(f"{given.output}: as the model, to {difference}")
    return 0
