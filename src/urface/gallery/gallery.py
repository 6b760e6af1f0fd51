"""The door to a gallery: enrol, search, identify, remove (docs/gallery.md)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from urface.gallery.answers import (
    EnrolledPerson,
    Identification,
    Match,
    PersonTemplate,
    probability,
)
from urface.gallery.audit import AuditReport
from urface.gallery.consent import RETENTION, Consent
from urface.gallery.header import Facts, create_files
from urface.gallery.people import Person, checked_name
from urface.gallery.renewal import renew_rows
from urface.gallery.rotation import rotated
from urface.gallery.scan import store_counts, store_problems
from urface.gallery.store import Change, Clock, Store, utc_now
from urface.gallery.template import face_bytes, faces_of, weights_of
from urface.types import FaceEmbedding, UserError

if TYPE_CHECKING:  # these need SciPy, which who only enrols can do without
    from urface.decision import Decision
    from urface.gallery.open_set import MeasuredRate, Threshold

Method = Literal["likelihood", "cosine"]
MOST_IMAGES = 10_000  # of one person: each change sums them all anew


class Gallery:
    """People, each a template of any number of images. Safe to use from several threads and processes.

    Made by ``create`` or ``open``; sees embeddings, never photos. Every method raises UserError for what the
    caller can put right, GalleryDamaged where files were changed, and OSError with its number where the
    disk is full or fails: then nothing was done.

    facts      the model's digest, K, D, the index and the longest retention in days
    decision   the model's rule (urface.decision), which gives probabilities and thresholds; may be None
    """

    def __init__(self, store: Store, decision: Decision | None) -> None:
        self._store = store
        self.facts = store.facts
        self.decision = decision

    @staticmethod
    def create(
        folder: str | Path,
        *,
        model: str,
        shape: tuple[int, int],
        key: bytes,
        index: str = "faiss:",
        retention: timedelta = RETENTION,
        path: str = "",
        decision: Decision | None = None,
        clock: Clock = utc_now,
    ) -> Gallery:
        """A new, empty gallery in ``folder``, which must not exist or be empty.

        model      digest of the model whose embeddings it will hold
        shape      (K, D) of these
        key        32 bytes (``new_key``), to be kept apart from the folder; without it all is lost
        index      as in ``urface.search.open_index``
        retention  the longest that anyone is kept without consenting anew, at most three years
        path       where the model is, for commands that are not told
        """
        facts = Facts(model, int(shape[0]), int(shape[1]), index, retention.days, path)
        create_files(Path(folder), facts, key)
        gallery = Gallery.open(folder, key, decision=decision, clock=clock)
        with gallery._store.changing() as change:
            change.line("create", model=model)
        return gallery

    @staticmethod
    def open(
        folder: str | Path,
        key: bytes,
        *,
        decision: Decision | None = None,
        clock: Clock = utc_now,
    ) -> Gallery:
        """The gallery in ``folder``. The index is opened, or built anew, at the first search."""
        return Gallery(Store(Path(folder), key, clock), decision)

    def require_model(self, digest: str) -> None:
        """Raise UserError where the gallery was made with another model."""
        if digest != self.facts.model:
            raise UserError(
                f"the gallery holds faces of the model {self.facts.model[:12]}, not of {digest[:12]}: their "
                "embeddings cannot be compared"
            )

    def enrol(self, person: str, faces: FaceEmbedding, consent: Consent) -> EnrolledPerson:
        """Add images to a person, who is new or there already; the newest consent holds.

        An image that is there already adds nothing. Where the consent of a person had ended, its old images
        are erased first: they were not consented to anew. All is written, down to the disk, or nothing.
        """
        name, store = checked_name(person), self._store
        now = store.clock()
        ends = int(consent.check(now, timedelta(days=self.facts.retention)).timestamp())
        given = {"reference": consent.reference, "purpose": consent.purpose}
        given |= {"given": now.isoformat(timespec="seconds"), "expires": consent.ends().isoformat()}
        with store.changing() as change:
            own = store.own(faces)
            if not len(own):
                raise UserError(f"no face to enrol {name} with")
            found = store.people.find(name)
            if found is not None and found.expires <= now.timestamp():
                self._erase([found.number], change)
                change.line("purge", people=[found.number])
                found = None
            if found is None:
                found = store.people.add(name, ends, {"consents": []})
            found.record["consents"].append(given)
            found.expires = ends
            images = store.people.images(found)
            before = len(images)
            for row in (face_bytes(own[i]) for i in range(len(own))):
                if store.people.digest(found, row) not in images:
                    images[store.people.add_image(found, row)] = row
            if len(images) > MOST_IMAGES:
                raise UserError(f"{name} would have more than {MOST_IMAGES:,} images")
            store.people.write(found, images, change.generation)
            added = len(images) - before
            change.line("enrol", person=found.number, images=added, expires=given["expires"])
        if change.erases:
            self._settled()
        return EnrolledPerson(name, found.number, len(images), added, found.ends)

    def remove(self, person: str) -> bool:
        """Erase a person: rows, key, template and the index file. Raises UserError where there is none such.

        False where old pages stay in the write-ahead log for now, since another process reads or the disk
        fails; they go with ``compact``, which also rewrites the database without the empty places.
        """
        with self._store.changing() as change:
            found = self._found(person)
            self._erase([found.number], change)
            change.line("remove", person=found.number)
        return self._settled()

    def remove_images(self, person: str, images: Sequence[str]) -> EnrolledPerson:
        """Erase some images of a person (identifiers as in ``PersonTemplate.images``), but not the last."""
        people = self._store.people
        with self._store.changing() as change:
            found = self._found(person)
            there = people.images(found)
            by_name = {digest.hex(): digest for digest in there}
            for image in images:
                if image not in by_name:
                    raise UserError(f"{found.name} has no image {image!r:.80}")
                digest = by_name.pop(image)
                del there[digest]
                people.remove_image(found, digest)
            if not there:
                raise UserError(f"these are all images of {found.name}: remove the person instead")
            people.write(found, there, change.generation)
            change.erases = True
            change.line("remove_images", person=found.number, images=len(images))
        self._settled()
        return EnrolledPerson(found.name, found.number, len(there), 0, found.ends)

    def purge(self) -> int:
        """Erase everyone whose consent has ended; how many these were. To be run once a day (G41)."""
        with self._store.changing() as change:
            over = self._store.people.expired(self._store.seconds())
            self._erase(over, change)
            change.line("purge", people=over)
        if over:
            self._settled()
        return len(over)

    def search(
        self, probes: FaceEmbedding, k: int = 5, method: Method = "likelihood"
    ) -> list[list[Match]]:
        """The ``k`` most alike people of each probe, best first; fewer where fewer are enrolled."""
        with self._store.lock:
            _, found = self._store.best(probes, k, method)
            self._store.log("search", probes=len(found), k=k, method=method)
        return [
            [
                Match(name, score, probability(self.decision, score, method))
                for _, name, score in row
            ]
            for row in found
        ]

    def identify(self, probes: FaceEmbedding, fpir: float = 0.01) -> list[Identification]:
        """Who each probe shows, or that it is nobody enrolled, or that the probe is too unsure to say.

        fpir  the share of strangers who may be taken for somebody. Raises UserError where neither the
              model's data nor measured strangers (``calibrate``) support it at the gallery's size.
        """
        from urface.gallery.identify import identify

        return identify(self._store, self.decision, probes, fpir)

    def threshold(self, fpir: float = 0.01) -> Threshold:
        """The score from which ``identify`` names somebody, and where it comes from. Raises UserError."""
        from urface.gallery.identify import threshold

        return threshold(self._store, self.decision, fpir)

    def calibrate(
        self, strangers: FaceEmbedding, wanted: Sequence[float] = (0.1, 0.03, 0.01, 0.001)
    ) -> list[MeasuredRate]:
        """Search people who are not enrolled, one image of each, and keep their best scores.

        From then on ``identify`` takes its threshold from them. Returns the threshold and the rate with its
        95 % interval at every FPIR ``wanted``. That nobody of them is enrolled is the caller's word.
        """
        from urface.gallery.identify import calibrate

        return calibrate(self._store, self.decision, strangers, wanted)

    def people(self) -> list[EnrolledPerson]:
        """Everyone, by name, those too whose consent has ended and who await ``purge``."""
        with self._store.reading():
            found = [
                EnrolledPerson(person.name, person.number, images, 0, person.ends)
                for person, images in self._store.people.everyone()
            ]
        return sorted(found, key=lambda one: one.person)

    def template(self, person: str) -> PersonTemplate:
        """A person's template, as the model made it, and how much each image weighs in it."""
        store = self._store
        with store.reading():
            found = self._found(person)
            self._require_consent(found)
            template, images = store.people.template(found), store.people.images(found)
            faces = rotated(template, store.matrix, back=True)
        weights = weights_of(faces_of(images.values(), store.shape))
        return PersonTemplate(faces, [digest.hex() for digest in images], weights)

    def stats(self) -> dict[str, Any]:
        """Counts and facts, no names."""
        demonstration = self.decision is not None and self.decision.demonstration
        return store_counts(self._store) | {"demonstration": bool(demonstration)}

    def export(self, person: str | None = None) -> list[dict[str, Any]]:
        """All that is kept of one person, or of everyone, but embeddings, as plain JSON values."""
        with self._store.lock:
            with self._store.reading():
                told = [
                    {"person": one.name, "number": one.number, "images": images}
                    | {"expires": one.ends.isoformat(), "consents": one.record["consents"]}
                    for one, images in self._chosen(person)
                ]
            numbers = [one["number"] for one in told] if person is not None else "all"
            self._store.log("export", people=numbers, embeddings=False)
        return told

    def export_embeddings(self, person: str | None = None) -> tuple[list[str], FaceEmbedding]:
        """Names and templates [N, K, D] as the model made them: what no key protects any more."""
        store = self._store
        with store.lock:
            with store.reading():
                now = store.seconds()
                chosen = [one for one, _ in self._chosen(person) if one.expires > now]
                if not chosen and person is not None:
                    self._require_consent(self._found(person))
                if not chosen:
                    raise UserError("nobody is enrolled: there is nothing to export")
                faces = FaceEmbedding.concatenate([store.people.template(one) for one in chosen])
                plain = rotated(faces, store.matrix, back=True)
            numbers = [one.number for one in chosen] if person is not None else "all"
            store.log("export", people=numbers, embeddings=True)
        return [one.name for one in chosen], plain

    def audit(self, noted: str = "") -> AuditReport:
        """Whether the log is whole; ``noted`` is a head that was kept elsewhere (``AuditReport.head``)."""
        head = self._store.audit.kept_head()
        with self._store.reading():
            return self._store.audit.report(head, noted)

    def audit_lines(self) -> list[dict[str, Any]]:
        """The log, oldest line first."""
        with self._store.reading():
            return list(self._store.audit.lines())

    def check(self) -> list[str]:
        """Read everything: what is damaged, one line each, none where all is well."""
        head = self._store.audit.kept_head()
        with self._store.reading():
            return store_problems(self._store, head)

    def compact(self) -> bool:
        """Rewrite the database without the places of what was erased; False where another process's reading
        keeps the write-ahead log for now."""
        with self._store.lock:
            try:
                return self._store.database.vacuum()
            except OSError:  # no room, or in use: what was erased is erased all the same
                return False

    def renew(self, key: bytes | None = None) -> bool:
        """Give all templates another rotation and all rows other keys, under a new master ``key`` if given.

        Templates stolen before match none of the new, and a new key opens no old copy. All in one
        transaction; then ``compact``, whose outcome is returned: False too where the disk has no room for it.
        """
        store = self._store
        with store.lock:
            with store.changing() as change:
                change.keys = renew_rows(store.people, change.generation)
                change.master, change.erases = key, True
                change.line("renew", new_key=key is not None)
            try:
                return store.database.vacuum()
            except OSError:  # renewed all the same, and the caller must not think otherwise
                return False

    def close(self) -> None:
        """Keep the index for the next start where it was used, and let go of the files."""
        self._store.close()

    def _found(self, person: str) -> Person:
        name = checked_name(person)
        found = self._store.people.find(name)
        if found is None:
            raise UserError(f"{name}: nobody of that name is enrolled")
        return found

    def _chosen(self, person: str | None) -> list[tuple[Person, int]]:
        number = None if person is None else self._found(person).number
        return [pair for pair in self._store.people.everyone() if number in (None, pair[0].number)]

    def _require_consent(self, one: Person) -> None:
        if one.expires <= self._store.seconds():
            raise UserError(f"the consent of {one.name} has ended: there is no template to give")

    def _erase(self, numbers: Sequence[int], change: Change) -> None:
        for number in numbers:
            self._store.people.remove(number, change.generation)
        change.erases = change.erases or bool(numbers)

    def _settled(self) -> bool:
        with self._store.lock:
            try:
                return self._store.database.settle()
            except OSError:  # it is erased all the same, and the caller must not think otherwise
                return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        track: TracebackType | None,
    ) -> None:
        self.close()
