# SPDX-License-Identifier: Apache-2.0
"""A compute job as it goes between buyer and node: the program, the signed request, the sealed result."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from koinon.chain.account import Account
from koinon.chain.address import checksum, to_bytes
from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.keys import verify
from koinon.compute.sandbox.driver import LOCK, MAIN, Program
from koinon.data.gate.schema import RESULT, ResultSchema, read_schema
from koinon.data.sealed_box import BoxKey, seal_to
from koinon.errors import BadInput, IntegrityError, KeyFault

PROGRAM_BYTES: Final = 4 << 20
PROGRAM_FILES: Final = 256
SCHEMA_BYTES: Final = 64 << 10

_REQUEST: Final = TypedStruct(
    "ComputeRequest(uint256 jobId,uint256 workId,bytes32 algorithm,bytes32 schema,uint64 blocks,"
    "bytes32 sealingKey)"
)
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){0,7}")


@dataclass(frozen=True)
class Bundle:
    """A program's files: ``main.py`` alone, or with a lock file and whatever else it needs."""

    files: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if MAIN not in self.files or (len(self.files) > 1 and LOCK not in self.files):
            raise BadInput(
                f"A program is one Python file, or a directory with {MAIN} and {LOCK}.",
                hint="The lock file may be empty.",
                code="data.program",
            )
        size = sum(len(content) for content in self.files.values())
        if len(self.files) > PROGRAM_FILES or size > PROGRAM_BYTES:
            raise BadInput(
                f"The program has {len(self.files)} files of {size} bytes.",
                hint=f"At most {PROGRAM_FILES} files of {PROGRAM_BYTES} bytes in all.",
                code="data.program_size",
            )
        for name in self.files:
            if _NAME.fullmatch(name) is None or any(other.startswith(f"{name}/") for other in self.files):
                raise BadInput(
                    f"The program has a file named {name[:100]!r}.",
                    hint="Letters, digits, dots, dashes and underscores, in folders at most 7 deep.",
                    code="data.program_name",
                )

    @classmethod
    def read(cls, path: Path) -> Bundle:
        """From a Python file or a directory (hidden files and ``__pycache__`` are left out)."""
        program = Program(path)
        if not path.is_dir():
            return cls({MAIN: program.main.read_bytes()})
        files = {}
        for each in sorted(path.rglob("*")):
            name = each.relative_to(path)
            if any(part.startswith(".") or part == "__pycache__" for part in name.parts):
                continue
            if each.is_symlink() or not (each.is_dir() or each.is_file()):
                raise BadInput(f"The program holds {name}, which is no plain file.", code="data.program")
            if each.is_file():
                files[name.as_posix()] = each.read_bytes()
        return cls(files)

    @classmethod
    def from_fields(cls, told: Any) -> Bundle:
        """From JSON; BadInput when it is none."""
        try:
            return cls({str(name): base64.b64decode(text, validate=True) for name, text in told.items()})
        except (AttributeError, TypeError, binascii.Error, ValueError):
            raise BadInput(
                "The program cannot be read.", hint="An object from names to base64.", code="data.program"
            ) from None

    def to_fields(self) -> dict[str, str]:
        """As JSON carries it."""
        return {name: base64.b64encode(content).decode() for name, content in self.files.items()}

    @property
    def digest(self) -> bytes:
        """What orders and allow-lists name: the same as `Program.digest` of the files on a disk."""
        state = hashlib.sha256()
        for name in sorted(self.files, key=str.encode):
            encoded = name.encode()
            content = hashlib.sha256(self.files[name]).digest()
            state.update(len(encoded).to_bytes(4, "little") + encoded + content)
        return state.digest()

    def write(self, folder: Path) -> Program:
        """Put the files into an empty folder, for the sandbox."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return Program(folder if len(self.files) > 1 else folder / MAIN)


@dataclass(frozen=True)
class Asked:
    """A job that somebody would like to run."""

    work_id: int
    buyer: str
    program: Bundle
    schema_text: str
    blocks: int
    max_seconds: int

    def schema(self) -> ResultSchema:
        """What its results are declared to be; BadInput as `read_schema`."""
        if len(self.schema_text.encode()) > SCHEMA_BYTES:
            raise BadInput(
                f"The declaration of results has more than {SCHEMA_BYTES} bytes.", code="data.schema_size"
            )
        return read_schema(self.schema_text)


@dataclass(frozen=True)
class Quote:
    """What a job would cost and spend, and by when it would be told.

    ``private`` whether nothing in the data decides how it ends; ``noise`` what the noise of each output stays
    within 19 times in 20.
    """

    price_per_second: int
    max_seconds: int
    epsilon: float
    deadline_s: int
    waiting: int
    private: bool
    granted: bool
    noise: Mapping[str, float] = field(default_factory=dict)

    def to_fields(self) -> dict[str, Any]:
        """As JSON carries it; the price as text."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "price_per_second": str(self.price_per_second)
        }


@dataclass(frozen=True)
class JobRequest:
    """What a buyer signs: which order it is for, how, and to which key the result is sealed.

    ``algorithm`` and ``schema`` sha256 digests, ``blocks`` on how many disjoint parts of the rows the program
    runs, ``sealing_key`` an X25519 public key.
    """

    job_id: int
    work_id: int
    buyer: str
    algorithm: bytes
    schema: bytes
    blocks: int
    sealing_key: bytes
    signature: bytes = field(default=b"", repr=False)

    def _values(self) -> tuple[Any, ...]:
        return (self.job_id, self.work_id, self.algorithm, self.schema, self.blocks, self.sealing_key)

    def sign(self, buyer: Account, domain: Domain) -> JobRequest:
        """The same, signed."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return JobRequest(**fields | {"signature": buyer.sign_typed(domain, _REQUEST, *self._values())})

    def check(self, domain: Domain) -> None:
        """KeyFault when its buyer did not sign it."""
        if not verify(digest(domain, _REQUEST.hash(*self._values())), self.signature, self.buyer):
            raise KeyFault(
                "The job is not signed by its buyer.",
                hint="Sign it with the key that ordered it.",
                code="data.job_signature",
            )

    def to_fields(self) -> dict[str, Any]:
        """As JSON carries it."""
        return {
            "job_id": str(self.job_id),
            "work_id": str(self.work_id),
            "buyer": self.buyer,
            "algorithm": self.algorithm.hex(),
            "schema": self.schema.hex(),
            "blocks": self.blocks,
            "sealing_key": self.sealing_key.hex(),
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_fields(cls, told: Any) -> JobRequest:
        """From JSON; BadInput when it is none."""
        try:
            algorithm, schema, sealing_key, signature = (
                bytes.fromhex(told[name]) for name in ("algorithm", "schema", "sealing_key", "signature")
            )
            job_id, work_id, blocks = (int(told[name]) for name in ("job_id", "work_id", "blocks"))
            buyer = checksum(told["buyer"])
        except (KeyError, TypeError, ValueError, AttributeError, BadInput):
            raise _no_request() from None
        whole = 0 <= min(job_id, work_id) <= max(job_id, work_id) < 1 << 256
        fit = all(len(each) == 32 for each in (algorithm, schema, sealing_key))
        if not whole or not fit or not 1 <= blocks < 1 << 32:
            raise _no_request()
        return cls(job_id, work_id, buyer, algorithm, schema, blocks, sealing_key, signature)


def _no_request() -> BadInput:
    return BadInput("This is no request for a job.", hint="Use koinon data submit.", code="data.job_request")


def job_domain(chain_id: int, jobs: str) -> Domain:
    """What requests are signed for: one network's ComputeJobs contract."""
    return Domain("Koinon Compute", "1", chain_id, jobs)


def job_name(jobs: str, job_id: int) -> bytes:
    """Under which name a job stands in the privacy budget."""
    return hashlib.sha256(b"koinon job 1" + to_bytes(jobs) + job_id.to_bytes(32, "big")).digest()


def seal_result(files: Mapping[str, bytes], request: JobRequest, domain: Domain) -> bytes:
    """The result's files for the buyer alone."""
    content = {name: base64.b64encode(each).decode() for name, each in files.items()}
    packed = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return seal_to(request.sealing_key, packed, _context(domain, request.job_id))


def open_result(  # noqa: PLR0917  (what it is checked against)
    sealed: bytes, box: BoxKey, domain: Domain, job_id: int, wanted: bytes, declared: set[str]
) -> dict[str, bytes]:
    """The result's files, where the sealed bytes are those the chain names.

    Raises IntegrityError when they are not (``wanted`` is their sha256), not for this key and job, or hold
    other files than ``declared``.
    """
    if hashlib.sha256(sealed).digest() != wanted:
        raise IntegrityError(
            "The node handed out another result than it stated on the chain.",
            hint="Ask again; if it stays so, tell others by feedback about the dataset.",
            code="data.result_digest",
        )
    opened = box.open(sealed, _context(domain, job_id))
    try:
        files = {
            str(name): base64.b64decode(text, validate=True) for name, text in orjson.loads(opened).items()
        }
        files.get(RESULT, b"").decode()
    except (AttributeError, TypeError, ValueError):
        raise _no_result() from None
    if set(files) != declared:  # its owner may be anyone, and names become paths
        raise _no_result()
    return files


def _no_result() -> IntegrityError:
    return IntegrityError(
        "The node sealed something else than the result that was declared.",
        hint="Tell others by feedback about the dataset.",
        code="data.result_files",
    )


def _context(domain: Domain, job_id: int) -> bytes:
    return b"koinon job result 1" + domain.separator + job_id.to_bytes(32, "big")
