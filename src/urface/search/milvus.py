"""Templates in Milvus: embedded (Milvus Lite) or a server, for galleries that outgrow one machine.

A row of the collection is all there is of a template: its id, the expanded vector that the engine ranks by
inner product, and the plain numbers ("raw": means, then variances) that exact scores are taken from. So id
and numbers cannot part, and ``add`` may be repeated. The engine and the owner's database are two stores: a
crash between them leaves a difference, which ``reconcile`` finds by a full scan and puts right.

The range of the expansion is part of the collection's name (urface_<low>_<high> in hexadecimal float64).
A template out of the range makes a new collection; the old is dropped when the new one is whole.
"""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from urface.search.expansion import Expansion, expand_gallery, expand_probe, fit_expansion
from urface.search.flat import MARGIN, faces_of, refuse_per_dimension
from urface.search.index import NOBODY, Method
from urface.search.ranking import checked, rank
from urface.search.rows import Rows
from urface.types import FaceEmbedding, UserError

NAME = "urface"
OURS = re.compile(rf"{NAME}_\d+_\d+_[0-9a-f]{{32}}")  # another's urface_faces is left alone
CANDIDATES, MOST = 100, 16_384  # the engine gives no more
AT_A_TIME = 500  # templates of a request: of 8 KB a row, 4 MB


Done = TypeVar("Done")


def told(method: Callable[..., Done]) -> Callable[..., Done]:
    """``method`` of an index, whose engine's errors are one line: it may be away, or its disk full."""

    @wraps(method)
    def plain(self: MilvusIndex, *given: Any, **named: Any) -> Done:
        from pymilvus import MilvusException

        try:
            return method(self, *given, **named)
        except MilvusException as error:
            where = self.url.rpartition("@")[2]  # without a password
            raise UserError(f"Milvus at {where} did not answer: {error.message}") from None

    return plain


class MilvusIndex:
    """An index in a Milvus collection. One owner at a time; what it acknowledges is in the engine.

    ``url`` is milvus:/path/file.db or milvus+http(s)://[user:password@]host:port. ``save`` asks the engine
    to write what it holds in memory; ``load`` takes what the engine has.
    """

    kind = "milvus"

    def __init__(self, url: str, fresh: bool = False) -> None:
        self.stamp = ""
        self.url = url
        self.client = _client(url)
        self.plan: Expansion | None = None
        self.collection = ""
        if fresh:
            self._drop_all()
        self.load()

    @told
    def _drop_all(self) -> None:
        for name in self._collections():
            self.client.drop_collection(name)

    def _collections(self) -> list[str]:
        return sorted(name for name in self.client.list_collections() if OURS.fullmatch(name))

    @told
    def __len__(self) -> int:
        return len(self.ids())

    @told
    def add(self, ids: np.ndarray, faces: FaceEmbedding) -> None:
        check = Rows()
        if self.plan is not None:
            check.begin(self.plan.shape, self.plan.shape[0])
        numbers, mean, variance = check.check(ids, faces)
        if not len(numbers):
            return
        dim = int(faces.mean.shape[2])
        refuse_per_dimension(mean, variance, dim)
        shape = (mean.shape[1] // dim, dim)
        if self.plan is None or not self.plan.covers(variance):
            self._widen(float(variance.min()), float(variance.max()), shape)
        self._upsert(numbers, mean, variance)

    def _upsert(self, ids: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> None:
        assert self.plan is not None
        raw = np.concatenate([mean, variance], 1)
        for first in range(0, len(ids), AT_A_TIME):
            part = slice(first, first + AT_A_TIME)
            faces = faces_of(mean[part].reshape(-1, *self.plan.shape), variance[part])
            vectors = expand_gallery(faces, self.plan)
            rows = [
                {"id": i, "expanded": vector, "raw": numbers}
                for i, vector, numbers in zip(ids[part].tolist(), vectors, raw[part], strict=True)
            ]
            self.client.upsert(self.collection, rows)

    def _widen(self, low: float, high: float, shape: tuple[int, int]) -> None:
        """A collection for a range that holds these variances and those there are, with all templates."""
        old, before = self.collection, self.plan
        if before is not None:
            low, high = min(low, before.low * MARGIN), max(high, before.high / MARGIN)
        low, high = low / MARGIN, high * MARGIN
        plan = fit_expansion(low, high, shape)
        name = f"{NAME}_{shape[0]}_{shape[1]}_{struct.pack('>dd', low, high).hex()}"
        self._create(name, plan)
        self.plan, self.collection = plan, name
        if old:
            for ids, raw in self._scan(old, ["id", "raw"]):
                self._upsert(ids, *np.split(raw, [shape[0] * shape[1]], 1))
            self.client.drop_collection(old)

    def _create(self, name: str, plan: Expansion) -> None:
        from pymilvus import DataType

        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("expanded", DataType.FLOAT_VECTOR, dim=plan.dimensions)
        schema.add_field("raw", DataType.FLOAT_VECTOR, dim=plan.shape[0] * (plan.shape[1] + 1))
        index = self.client.prepare_index_params()
        # FLAT: no candidate is missed. A cluster's owner may build another index on the field by hand.
        index.add_index("expanded", index_type="FLAT", metric_type="IP")
        index.add_index("raw", index_type="FLAT", metric_type="IP")
        self.client.create_collection(
            name, schema=schema, index_params=index, consistency_level="Strong"
        )

    @told
    def remove(self, ids: np.ndarray) -> None:
        numbers = np.unique(np.asarray(ids, np.int64)).tolist()
        for first in range(0, len(numbers) if self.plan is not None else 0, AT_A_TIME):
            self.client.delete(self.collection, ids=numbers[first : first + AT_A_TIME])

    @told
    def search(
        self, probes: FaceEmbedding, k: int, method: Method = "likelihood"
    ) -> tuple[np.ndarray, np.ndarray]:
        checked(k, method)
        if method != "likelihood":
            raise UserError("an index in Milvus searches by likelihood only")
        ids = np.full((len(probes), k), NOBODY, np.int64)
        scores = np.full((len(probes), k), -np.inf, np.float32)
        if self.plan is None:
            return ids, scores
        check = Rows()
        check.begin(self.plan.shape, self.plan.shape[0])
        mean, variance, good = check.probes(probes)
        for row in np.flatnonzero(good):
            face = faces_of(mean[row].reshape(1, *self.plan.shape), variance[row : row + 1])
            (hits,) = self.client.search(
                self.collection,
                data=list(expand_probe(face, self.plan)),
                anns_field="expanded",
                limit=min(MOST, max(CANDIDATES, 2 * k)),
                output_fields=["raw"],
            )
            if hits:
                raw = np.array([hit["entity"]["raw"] for hit in hits], np.float32)
                found = np.array([hit["id"] for hit in hits], np.int64)
                few = self._rows(found, raw)
                places = np.arange(len(few))
                ids[row], scores[row] = rank(few, (mean[row], variance[row]), places, k)
        return ids, scores

    def _rows(self, ids: np.ndarray, raw: np.ndarray) -> Rows:
        assert self.plan is not None
        K, D = self.plan.shape
        rows = Rows()
        rows.append(ids, raw[:, : K * D], raw[:, K * D :], D)
        return rows

    @told
    def ids(self) -> np.ndarray:
        if self.plan is None:
            return np.empty(0, np.int64)
        parts = [ids for ids, _ in self._scan(self.collection, ["id"])]
        return np.sort(np.concatenate([np.empty(0, np.int64), *parts]))

    def _scan(self, collection: str, fields: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All rows of a collection in batches: ids [n], and raw [n, K (D + 1)] where asked for."""
        pages = self.client.query_iterator(
            collection, batch_size=AT_A_TIME, filter="id >= 0", output_fields=fields
        )
        try:
            while page := pages.next():
                raw = np.array([row.get("raw", ()) for row in page], np.float32)
                yield np.array([row["id"] for row in page], np.int64), raw
        finally:
            pages.close()

    @told
    def stored(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wanted = np.asarray(ids, np.int64)
        if self.plan is None or not len(wanted):
            return np.empty((0, 0, 0), np.float32), np.empty((0, 0), np.float32)
        K, D = self.plan.shape
        raw = np.empty((len(wanted), K * (D + 1)), np.float32)
        for first in range(0, len(wanted), AT_A_TIME):
            part = wanted[first : first + AT_A_TIME]
            rows = self.client.get(self.collection, ids=part.tolist(), output_fields=["id", "raw"])
            found = {row["id"]: row["raw"] for row in rows}
            if missing := set(part.tolist()) - found.keys():
                raise UserError(f"no template has the id {min(missing)}")
            raw[first : first + len(part)] = [found[i] for i in part.tolist()]
        return raw[:, : K * D].reshape(-1, K, D), raw[:, K * D :]

    @told
    def save(self, path: str | Path = "") -> None:
        if self.plan is not None:
            self.client.flush(self.collection)

    @told
    def load(self, path: str | Path = "") -> None:
        """Take the collection that is there. Of two, left by a kill between making and dropping, the one with
        more templates is whole; the other is dropped, and ``reconcile`` sees to the rest."""
        names = self._collections()
        for name in names:
            self.client.load_collection(name)  # after a kill the engine may hold it on disk alone
        names.sort(key=lambda name: sum(len(ids) for ids, _ in self._scan(name, ["id"])))
        for name in names[:-1]:
            self.client.drop_collection(name)
        self.plan, self.collection = None, ""
        if names:
            self.plan, self.collection = _plan_of(names[-1]), names[-1]

    def close(self) -> None:
        self.client.close()
        if self.url.startswith("milvus:"):
            from milvus_lite.server_manager import server_manager_instance

            # Else the file stays locked by this process until it ends.
            server_manager_instance.release_server(self.url.removeprefix("milvus:"))


def _plan_of(name: str) -> Expansion:
    """The expansion that a collection's vectors were made with."""
    try:
        _, K, D, span = name.split("_")
        low, high = struct.unpack(">dd", bytes.fromhex(span))
        return fit_expansion(low, high, (int(K), int(D)))
    except (ValueError, struct.error):
        raise UserError(f"the Milvus collection {name} is none of urface's: rename it") from None


def _client(url: str) -> Any:
    try:
        from pymilvus import MilvusClient, MilvusException
    except ImportError:
        raise UserError('an index in Milvus needs: pip install "urface[milvus]"') from None
    # It warns at each scan that Milvus Lite has no time stamps; there is one owner, who needs none.
    logging.getLogger("pymilvus.client.iterator.query_iterator").setLevel(logging.ERROR)
    scheme, _, rest = url.partition(":")
    if scheme == "milvus" and rest.endswith(".db"):
        address = rest
    elif scheme in ("milvus+http", "milvus+https") and rest.startswith("//"):
        address = f"{scheme.removeprefix('milvus+')}:{rest}"
    else:
        raise UserError(f"{url!r} is no Milvus: milvus:/path/file.db or milvus+http://host:port")
    try:
        return MilvusClient(address)
    except MilvusException as error:
        raise UserError(f"{url}: Milvus cannot be opened ({error.message})") from None
