"""What a features file may unpack to: a small one that asks for gigabytes is refused before it gets them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from urface.types import UserError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

# Features hardly compress; repeated keys and variances do. Real files unpack to a few times their size.
MOST_TIMES, ALWAYS_BYTES = 32, 1 << 28
ROWS_AT_ONCE = 256  # of keys, so that few are in memory when they turn out to be long


def most_bytes(path: Path) -> int:
    """How many bytes of arrays the file ``path`` may hold: by its size, and 256 MB in any case."""
    return max(ALWAYS_BYTES, MOST_TIMES * path.stat().st_size)


def check_unpacked(path: Path, size: int) -> None:
    """Raise UserError where ``size`` bytes are more than the file may hold."""
    most = most_bytes(path)
    if size > most:
        raise UserError(
            f"{path}: would unpack to {size:,} bytes, and a file of its size may to {most:,}: "
            "write its features without compression"
        )


def parquet_size(file: pq.ParquetFile, columns: list[str]) -> int:
    """Bytes of the named columns in memory, by what the footer says of them.

    Of each column the largest of three counts: the bytes of its pages, its values, and its rows times the
    length of its lists. A dictionary or runs make few bytes of many values, so the first does not suffice.
    """
    import pyarrow as pa

    footer, total = file.metadata, 0
    for name in columns:
        kind = file.schema_arrow.field(name).type
        length = kind.list_size if pa.types.is_fixed_size_list(kind) else 1
        value = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
        width = max(value.bit_width // 8, 1) if pa.types.is_primitive(value) else 1
        pages = values = 0
        for group in range(footer.num_row_groups):
            chunks = footer.row_group(group)
            for place in range(chunks.num_columns):
                chunk = chunks.column(place)
                if chunk.path_in_schema.partition(".")[0] == name:
                    pages += max(chunk.total_uncompressed_size, 0)
                    values += max(chunk.num_values, 0)
        total += max(pages, values * width, max(footer.num_rows, 0) * length * width)
    return total


def parquet_keys(path: Path, file: pq.ParquetFile, column: str) -> list[str]:
    """The column as texts. Raises UserError where they grow over what the file may hold.

    The footer does not say how long they are: one long text in a dictionary can stand in every row.
    """
    keys: list[str] = []
    letters = 0
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=[column]):
        some = [str(value) for value in batch.column(0).to_pylist()]
        letters += sum(map(len, some))
        check_unpacked(path, letters)
        keys += some
    return keys
