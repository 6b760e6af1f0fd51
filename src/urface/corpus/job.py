"""The whole of an embedding: what is done already, what is left, and the list that makes it count."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from urface.corpus.part import NAME, Done, write_part
from urface.corpus.part_file import about_of
from urface.corpus.plan import FORMAT, Plan
from urface.corpus.store import Store
from urface.embedder import Embedder
from urface.types import UserError

PLAN, PARTS = "plan.json", "parts.json"
LEFT_OVER = re.compile(r"\.(?:part-|plan\.|parts\.).*\.tmp.*")  # of a writer that was killed
READERS = 8
NAMED = 4  # parts in a message

# Number of parts to make -> each of them as it is done, in any order.
Engine = Callable[[Plan, Store, list[int]], Iterator[Done]]


def embed_corpus(plan: Plan, store: Store, engine: Engine, corrupt_share: float) -> dict[int, Done]:
    """Make the parts of ``plan`` that the store lacks, then commit them all; every part by its number.

    Raises UserError where the store holds another plan's parts, and once more images have failed than
    ``corrupt_share`` of all (one is forgiven); what was made stays, and a later call goes on from there.
    """
    _claim(plan, store)
    done = finished(plan, store)
    _check_share(plan, store, done.values(), corrupt_share)
    missing = [number for number in range(len(plan)) if number not in done]
    start = sum(part.rows for part in done.values())
    bar = tqdm(total=plan.total, initial=start, desc="embedding", unit=" faces", leave=False)
    with bar:
        for part in engine(plan, store, missing) if missing else ():
            done[part.number] = part
            for reason in part.failures.values():
                tqdm.write(f"failed: {reason}", file=sys.stderr)
            bar.update(part.rows)
            _check_share(plan, store, done.values(), corrupt_share)
    _commit(plan, store, done)
    return done


def on_this_machine(embedder: Embedder) -> Engine:
    """The engine that makes the parts one after another in this process."""

    def engine(plan: Plan, store: Store, missing: list[int]) -> Iterator[Done]:
        for number in missing:
            yield write_part(plan.part(number), plan.digest, plan.recipe, embedder, store)

    return engine


def finished(plan: Plan, store: Store) -> dict[int, Done]:
    """The parts of ``plan`` that are on the store and whole, each read and held against its name's hash."""
    names = sorted(name for name in store.names() if NAME.fullmatch(name))
    done: dict[int, Done] = {}
    with ThreadPoolExecutor(READERS) as pool:
        reading = pool.map(lambda name: _whole_part(plan, store, name), names)
        bar = tqdm(reading, "parts there", len(names), unit="", leave=False, delay=2)
        for part in bar:
            if part is not None:
                done.setdefault(part.number, part)
    return done


def _whole_part(plan: Plan, store: Store, name: str) -> Done | None:
    match = NAME.fullmatch(name)
    assert match is not None
    try:
        data = store.read(name)
        if hashlib.sha256(data).hexdigest()[:32] != match[2]:
            return None
        about = about_of(data)
    except (FileNotFoundError, UserError):
        return None
    number = int(match[1])
    fits = about.get("plan") == plan.digest and about.get("part") == number < len(plan)
    if not fits or about["rows"] != plan.size(number):
        return None
    return Done(number, name, about["rows"], about["failures"])


def _claim(plan: Plan, store: Store) -> None:
    """Write plan.json, or refuse a store that holds something else."""
    names = store.names()
    if PLAN in names:
        try:
            there = json.loads(store.read(PLAN))["plan"]
        except (ValueError, LookupError, TypeError):
            raise UserError(
                f"{store.url}: its {PLAN} is not ours; choose an empty folder"
            ) from None
        if there != plan.digest:
            raise UserError(
                f"{store.url}: holds embeddings of other images, by another model or in other sizes; "
                "give another OUT, or remove it"
            )
    elif others := [name for name in names if not LEFT_OVER.fullmatch(name)]:
        raise UserError(f"{store.url}: holds other files ({min(others)}); choose an empty folder")
    else:
        store.write(PLAN, _text(plan.about()))


def _check_share(plan: Plan, store: Store, done: Iterable[Done], share: float) -> None:
    failed = [part for part in done if part.failures]
    failures = [reason for part in failed for reason in part.failures.values()]
    # At least one is forgiven: 0.1 % of a small set would be none at all.
    if failures and (share == 0 or len(failures) > max(1.0, share * plan.total)):
        raise UserError(
            f"{len(failures)} of {plan.total} images failed, more than --corrupt-share {share:g} "
            f"allows; the last: {failures[-1]}; to try them again remove from {store.url} "
            f"{', '.join(part.name for part in failed[:NAMED])}"
            + (f" and {len(failed) - NAMED} more" if len(failed) > NAMED else "")
        )


def _commit(plan: Plan, store: Store, done: dict[int, Done]) -> None:
    """Take away what does not count, then say what does: readers trust parts.json alone."""
    assert sorted(done) == list(range(len(plan)))
    parts = [done[number] for number in range(len(plan))]
    assert sum(part.rows for part in parts) == plan.total
    kept = {part.name for part in parts}
    for name in store.names():
        if (NAME.fullmatch(name) and name not in kept) or LEFT_OVER.fullmatch(name):
            store.remove(name)
    failures = {key: reason for part in parts for key, reason in part.failures.items()}
    counts = {"embedded": plan.total - len(failures), "failed": len(failures)}
    listed = [
        {"name": part.name, "rows": part.rows, "failed": len(part.failures)} for part in parts
    ]
    about = plan.about() | counts | {"parts": listed, "failures": failures}
    store.write(PARTS, _text(about | {"format": FORMAT}))


def _text(about: object) -> bytes:
    return (json.dumps(about, indent=1, ensure_ascii=True) + "\n").encode()
