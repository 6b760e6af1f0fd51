"""What a look at the whole of a gallery finds: counts, and damage."""

from __future__ import annotations

from typing import Any

from urface.gallery.audit import Head
from urface.gallery.store import Store
from urface.types import UserError


def store_counts(store: Store) -> dict[str, Any]:
    """Numbers of people, images and lines, and the facts; no names."""
    with store.reading():
        ((people, over),) = store.database.run(
            "SELECT COUNT(*), COALESCE(SUM(expires <= ?), 0) FROM person", (store.seconds(),)
        )
        ((images,),) = store.database.run("SELECT COUNT(*) FROM image")
        ((lines,),) = store.database.run("SELECT COUNT(*) FROM audit")
        calibrated = store.database.meta("calibration") is not None
    return {
        "people": people,
        "expired": over,
        "images": images,
        "audit_lines": lines,
        "calibrated": calibrated,
        "model": store.facts.model,
        "shape": list(store.shape),
        "index": store.facts.index,
        "retention_days": store.facts.retention,
        "bytes": sum(path.stat().st_size for path in store.folder.iterdir() if path.is_file()),
    }


def store_problems(store: Store, head: Head | None) -> list[str]:
    """What is damaged, one line each, by reading every row: a template must be that of its images, and
    everyone there who was enrolled and not removed since, by a log that is whole (``head`` as for
    its report).
    """
    log = store.audit.report(head).problems
    problems = store.database.problems() + log
    people = store.people
    for (number,) in store.database.run("SELECT number FROM person ORDER BY number"):
        try:
            person = people.read(number)
            images = people.images(person)
            if not images or not people.is_template(person, images):
                problems.append(f"the template of person {number} is not that of its images")
        except UserError as error:
            problems.append(str(error))
    if log:
        return problems
    there = {number for (number,) in store.database.run("SELECT number FROM person")}
    for number in sorted(_in_log(store) ^ there):
        where = "the log but not in the database" if number not in there else "no line of the log"
        problems.append(f"person {number} is in {where}")
    return problems


def _in_log(store: Store) -> set[int]:
    """The numbers of who should be there."""
    numbers: set[int] = set()
    for line in store.audit.lines():
        if line["act"] == "enrol":
            numbers.add(line["person"])
        elif line["act"] == "remove":
            numbers.discard(line["person"])
        elif line["act"] == "purge":
            numbers.difference_update(line["people"])
    return numbers
