"""`urface data synthesize`."""

from __future__ import annotations

from urface.commands.parser import CommandParser
from urface.types import UserError

SUMMARY = """\
Write synthetic faces as an ordinary data set: OUT/p00012/003.jpg and OUT/manifest.parquet with what
is varied in each. A face depends on seed, identity and shot alone, so the same call makes the same
faces; an interrupted one goes on where it stopped."""
EXAMPLES = """\
  urface data synthesize faces --identities 100 --shots 10
  urface data synthesize unseen --identities 50 --first-identity 100 --shots 4
  urface data synthesize small --identities 20 --shots 5 --size 64 --workers 2"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface data synthesize", SUMMARY, EXAMPLES)
    parser.add("out", str, help="the folder to write")
    parser.add("--identities", int, required=True, help="how many people")
    parser.add("--shots", int, required=True, help="images of each")
    parser.add("--first_identity", int, 0, help="number of the first person")
    parser.add("--size", int, 112, help="side in pixels")
    parser.add("--seed", int, 0, help="another seed is another population")
    parser.add("--workers", int, 1, help="processes that render")
    given = parser.read(arguments)
    if given.identities < 1 or given.first_identity < 0:
        raise UserError("--identities must be at least 1 and --first-identity not negative")
    from urface.data.synthetic import write_synthetic

    first = given.first_identity
    write_synthetic(
        given.out,
        seed=given.seed,
        identities=range(first, first + given.identities),
        shots=given.shots,
        size=given.size,
        workers=given.workers,
    )
    print(f"{given.out}: {given.identities * given.shots:,} images of {given.identities:,} people")
    return 0
