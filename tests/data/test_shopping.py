# SPDX-License-Identifier: Apache-2.0
"""Programs that are uploaded to a page: what is no zip of a program is refused before it takes memory."""

from __future__ import annotations

import io
import zipfile

import pytest

from koinon.data.jobs import PROGRAM_BYTES
from koinon.data.shopping import read_upload
from koinon.errors import BadInput


def packed(files, kind=zipfile.ZIP_DEFLATED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", kind) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_a_zip_of_a_program_is_read():
    files = {"main.py": b"import a", "requirements.txt": b"", "a/b.py": b"1"}
    assert read_upload("P.ZIP", packed(files)).files == files


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_to_the_end_at_once_is_not_unpacked(kind):
    """The size that such an archive states bounds nothing: a lie of a few kilobytes fills the memory."""
    with pytest.raises(BadInput, match="not a zip file that can be read"):
        read_upload("p.zip", packed({"main.py": b"1"}, kind))


@pytest.mark.parametrize("name", ["../main.py", "/etc/passwd", "a/../../b", "a\\b", ".ssh/key"])
def test_no_name_leads_out_of_the_programs_folder(name):
    with pytest.raises(BadInput):
        read_upload("p.zip", packed({"main.py": b"", "requirements.txt": b"", name: b""}))


def test_what_is_too_large_damaged_or_sealed_is_refused():
    whole = packed({"main.py": b"print(1)" * 100})
    body = whole.index(b"main.py") + 7
    damaged = whole[:body] + bytes(8) + whole[body + 8 :]
    for content in (packed({"main.py": bytes(PROGRAM_BYTES + 1)}), damaged, whole[:-30], b"PK", b""):
        with pytest.raises(BadInput):
            read_upload("p.zip", content)
