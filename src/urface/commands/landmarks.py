"""`urface data landmarks`."""

from __future__ import annotations

from urface.commands.parser import CommandParser, note

SUMMARY = """\
Find the face of every image of a data set as a mesh of 478 points, once, for pose augmentation:
training then only renders (variations.pose, data.meshes). Images without a face, with one that does
not look ahead, and undecodable ones are counted and, with --failures, listed; training leaves their
pose alone. An interrupted call goes on where it stopped. Needs mediapipe."""
EXAMPLES = """\
  urface data landmarks faces.tar -o meshes.parquet
  urface data landmarks celeba.tar -o celeba.parquet --workers 2 --failures > failed.txt"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface data landmarks", SUMMARY, EXAMPLES)
    parser.add("path", str, help="folder identity/image, tar, manifest, or CelebA")
    parser.add_argument("-o", "--out", type=str, required=True, help="the .parquet to write")
    parser.hints["out"] = str
    parser.add("--workers", int, 1, help="processes that search")
    parser.add_flag("--failures", help="print the name and status of each image that failed")
    given = parser.read(arguments)
    from urface.data.landmarks import STATUSES
    from urface.data.mesh_search import failures, find_meshes
    from urface.data.open import open_faces

    counts = find_meshes(open_faces(given.path), given.out, given.workers)
    if given.failures:
        for key, status in failures(given.out):
            print(f"{key}: {status}")
    total = sum(counts.values())
    told = ", ".join(f"{counts[status]:,} {status}" for status in STATUSES)
    note(f"{given.out}: {total:,} images: {told}")
    return 0
