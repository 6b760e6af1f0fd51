"""`urface data repair`."""

from __future__ import annotations

from urface.commands.parser import CommandParser, note

SUMMARY = """\
Mend a RecordIO set. Without -o, build the .idx that is missing beside FILE. With -o, write a new set:
a tail that is cut is left off, and counts and identity records are made anew to fit. FILE itself is
never changed; damage in its middle is named and not guessed at."""
EXAMPLES = """\
  urface data repair faces/train.rec
  urface data repair faces/train.rec -o mended/train.rec"""


def run(arguments: list[str]) -> int:
    parser = CommandParser("urface data repair", SUMMARY, EXAMPLES)
    parser.add("file", str, help="the .rec")
    parser.add_argument("-o", "--out", type=str, help="the .rec to write")
    parser.hints["out"] = str
    given = parser.read(arguments)
    from urface.data.record_repair import repair_records

    done = repair_records(given.file, given.out)
    if done.dropped:
        note(f"{given.file}: its last {done.dropped:,} bytes were no whole record and are left off")
    print(f"{done.path}: {done.records:,} records")
    return 0
