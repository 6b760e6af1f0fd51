"""`urface align`."""

from __future__ import annotations

from pathlib import Path

from urface.commands.given import find_faces
from urface.commands.parser import CommandParser, note
from urface.commands.photo_options import add_photo_options
from urface.types import UserError

SUMMARY = """\
Find the faces of photos and cut them out aligned, 112 x 112, as PNG below OUT. PATHS are image files,
folders (images at any depth) and tars. The manifest has a row for each face and for each photo without one:
outcome and reason, box, five points, score, rotation and the path of the crop. urface embed --aligned,
evaluate and train read it, and OUT with it.

Photos that lie on their side are turned, by EXIF or, where nothing is found, by trying. A run that was
stopped goes on where it was; a photo is done again only when its file has changed."""
EXAMPLES = """\
  urface align photos/ -o aligned
  urface align lfw/ -o sets/lfw --keep-names
  urface align photos.tar -o aligned --manifest m.parquet --jobs 4
  urface align party/ more.tar -o aligned --faces all --detector yunet.onnx"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface align", SUMMARY, EXAMPLES)
    parser.add_argument("paths", nargs="+", metavar="PATHS", help="photos")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder for the crops")
    parser.add("--manifest", str, None, help=".parquet; in OUT unless given, or above it")
    parser.add_flag(
        "--keep_names",
        help="call the crop of a.jpg a.png and not a.jpg-1.png, as benchmarks' lists want it",
    )
    add_photo_options(parser)
    given = parser.read(arguments)
    out = Path(given.output).resolve()
    for path in given.paths:
        # The next run would take the crops of this one for photos.
        if Path(path).is_dir() and out.is_relative_to(Path(path).resolve()):
            raise UserError(
                f"{given.output}: lies in {path}, whose images are the photos: choose a folder outside"
            )
    sources = find_faces(given.paths, photos=True)

    from urface.photos.align import align_photos, counts
    from urface.photos.each_photo import OUTCOMES

    table = align_photos(
        sources,
        given.output,
        given.manifest,
        detector=given.detector,
        faces=given.faces,
        keep_names=given.keep_names,
        jobs=given.jobs,
    )
    number = counts(table)
    total = sum(number[outcome] for outcome in OUTCOMES)
    told = ", ".join(f"{number[outcome]:,} {outcome}" for outcome in OUTCOMES)
    note(f"{given.manifest or given.output}: {total:,} photos: {told}; {number['faces']:,} faces")
    if not number["faces"]:
        raise UserError(f"no face in any of {total:,} photos; the manifest says why of each")
    return 0
