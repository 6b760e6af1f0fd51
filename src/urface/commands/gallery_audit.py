"""`urface gallery audit`."""

from __future__ import annotations

from urface.commands.gallery_given import gallery_parser, open_gallery, told

SUMMARY = """\
Check that no line of the audit log was changed or taken away, and read every row of the database: is each
as it was written, and each template that of its images? What is wrong is listed, and the exit code is
then 2. The head it prints is worth noting elsewhere: --head checks that the log still leads to it."""
EXAMPLES = """\
  urface gallery audit people --key people.key
  urface gallery audit people --head 120:9f3a... --lines --key people.key"""


def run(arguments: list[str]) -> int:
    parser = gallery_parser("audit", SUMMARY, EXAMPLES)
    parser.add("--head", str, "", help="a head noted before, number:chain")
    parser.add_flag("--lines", help="print the log too")
    given = parser.read(arguments)
    with open_gallery(given) as gallery:
        report = gallery.audit(given.head)
        problems = list(dict.fromkeys([*report.problems, *gallery.check()]))
        lines = gallery.audit_lines() if given.lines else []
        if given.json:
            print(told(gallery, lines=report.lines, head=report.head, problems=problems, log=lines))
        else:
            for line in lines:
                print(" ".join(f"{name}={value}" for name, value in line.items()))
            print("\n".join([*problems, f"{report.lines} lines, head {report.head}"]))
    return 2 if problems else 0
