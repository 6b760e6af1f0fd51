"""`urface gallery list`."""

from __future__ import annotations

from dataclasses import asdict

from urface.commands.gallery_given import gallery_parser, open_gallery, table, told

SUMMARY = """\
Everyone in the gallery: name, number in the audit log, images, end of the consent. With --person the
images of one, and how much each weighs in the template."""
EXAMPLES = """\
  urface gallery list people --key people.key
  urface gallery list people --person "Ann Lee" --key people.key --json"""


def run(arguments: list[str]) -> int:
    parser = gallery_parser("list", SUMMARY, EXAMPLES)
    parser.add("--person", str, "", help="one alone, with images and weights")
    given = parser.read(arguments)
    with open_gallery(given) as gallery:
        if given.person:
            template = gallery.template(given.person)
            weights = dict(zip(template.images, template.weights.mean(1).tolist(), strict=True))
            if given.json:
                print(told(gallery, person=given.person, images=weights))
            else:
                print(table([[image, f"{100 * share:.1f} %"] for image, share in weights.items()]))
            return 0
        people = gallery.people()
        if given.json:
            rows = [asdict(one) | {"expires": one.expires.isoformat()} for one in people]
            for row in rows:
                del row["added"]
            print(told(gallery, people=rows))
        elif people:
            head = [["name", "number", "images", "until"]]
            cells = [
                [one.person, str(one.number), str(one.images), f"{one.expires:%Y-%m-%d}"]
                for one in people
            ]
            print(table(head + cells))
    return 0
