"""`urface import-weights`."""

from __future__ import annotations

from urface.commands.models import add_weight_options, declared
from urface.commands.parser import CommandParser
from urface.types import UserError

SUMMARY = """\
Make a urface model of the weights of an InsightFace or MagFace iresnet or an AdaFace IR network:
<OUT>/model.safetensors, one embedding with a constant confidence, for embed, compare and evaluate.
FILE is a .safetensors, .pth or .ckpt. The last two are pickles, which can run code when they are read:
they are read in a process of their own that admits weights only, and kept as safetensors."""
EXAMPLES = """\
  urface import-weights backbone.safetensors -o models/r50
  urface import-weights backbone.pth --architecture iresnet100 --sha256 0123... -o models/r100
  urface import-weights adaface_ir101.ckpt -o models/adaface
  urface import-weights magface.pth --preprocessing colour=bgr,mean=0,scale=1/255 -o models/magface"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface import-weights", SUMMARY, EXAMPLES)
    parser.add("file", str, help="the weights: .safetensors, .pth or .ckpt")
    add_weight_options(parser)
    parser.add("--input_size", int, 0, help="side of the faces it was trained on, if not 112")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="folder for model.safetensors"
    )
    given = parser.read(arguments)

    from urface.recognisers.import_weights import import_weights

    preprocessing = declared(given)
    if preprocessing is not None and given.input_size:
        raise UserError(
            "--input-size and --preprocessing both say a size: give size= in the latter"
        )
    path = import_weights(
        given.file,
        given.output,
        architecture=given.architecture,
        preprocessing=preprocessing,
        size=given.input_size,
        sha256=given.sha256,
    )
    print(path)
    return 0
