"""`urface gallery enrol`."""

from __future__ import annotations

from dataclasses import asdict

from urface.commands.gallery_given import (
    add_face_options,
    faces_given,
    gallery_parser,
    load_for,
    open_gallery,
    told,
)

SUMMARY = """\
Add the photos of one person, new or there already, to the gallery G. The largest face of each photo is
taken; only its embedding is kept, never the photo. Nobody is enrolled without a consent on file
(--consent), what it is for (--purpose) and when it ends (--expires, at most three years from now)."""
EXAMPLES = """\
  urface gallery enrol people "Ann Lee" ann1.jpg ann2.jpg --consent form-17 \\
      --purpose "door of the lab" --expires 2027-06-30 --key people.key
  urface gallery enrol people "Ann Lee" crops/ann --aligned --consent form-17 \\
      --purpose "door of the lab" --expires 2027-06-30 --key people.key --json"""


def run(arguments: list[str]) -> int:
    parser = gallery_parser("enrol", SUMMARY, EXAMPLES)
    parser.add_argument("person", metavar="PERSON", help="the name")
    add_face_options(parser)
    parser.add("--consent", str, required=True, help="where the consent is on file")
    parser.add("--purpose", str, required=True, help="what the person agreed to")
    parser.add("--expires", str, required=True, help="when the consent ends, such as 2027-06-30")
    given = parser.read(arguments)

    from urface.gallery import Consent

    consent = Consent(given.consent, given.purpose, given.expires)
    with open_gallery(given) as gallery:
        found = faces_given(given, load_for(gallery, given))
        person = gallery.enrol(given.person, found.faces, consent)
        if given.json:
            values = asdict(person) | {"expires": person.expires.isoformat()}
            print(told(gallery, **values, failures=found.failures))
        else:
            print(
                f"{person.person}: {person.added} images added, {person.images} in all, until "
                f"{person.expires:%Y-%m-%d}"
            )
    return 0
