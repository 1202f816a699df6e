# SPDX-License-Identifier: Apache-2.0
"""Programs that hide rows in results without noise, in the real sandbox: what the checks find, and what not.

The owner here lets such results out (`OPEN`). With the gate's own defaults none of them is admitted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from koinon.data.gate import Policy, Reason, Refused, Told, decide, read_schema
from tests.data.gate.support import LIMITS, OPEN, make_desk

ROWS = "rows = numpy.column_stack([features, labels])\n"
BYTES = ROWS + "raw = features[:30].astype('<f4').tobytes()\n"
TEXT = "text = '\\n'.join(','.join(f'{v:.7g}' for v in row) for row in features[:25].tolist()).encode()\n"

COPIES = {
    "rows as they are": ROWS + "hidden = rows[:20]",
    "one row in the middle of other numbers": (
        "draw = numpy.random.default_rng(1); hidden = numpy.concatenate("
        "[draw.normal(0, 1, 50), features[7], draw.normal(0, 1, 50)])"
    ),
    "rows in another order": "hidden = numpy.random.default_rng(1).permutation(features)[:40]",
    "a column as it is": "hidden = features[:60, 0]",
    "a column in another order": "hidden = numpy.random.default_rng(1).permutation(features[:, 0])",
    "a column sorted": "hidden = numpy.sort(features[:, 3])",
    "single values among invented ones": (
        "draw = numpy.random.default_rng(1)\n"
        "hidden = numpy.round(draw.lognormal(8, 0.8, 200), 2); hidden[::4] = features[:50, 0]"
    ),
    "a column rounded": "hidden = numpy.sort(features[:, 4]).round(1)",
    "a column under a scale and a shift": "hidden = features[:, 3] * 17.3 + 5",
    "rows with every column scaled": "hidden = (features - features.mean(0)) / features.std(0)",
    "rows by column": "hidden = features[:50].T",
    "as floats of 8 bytes read as whole numbers": (
        "hidden = features[:40].astype('<f8').view('<u4').astype(float)"
    ),
    "as the bits of float32": "hidden = numpy.ascontiguousarray(features[:40]).view('<u4').astype(float)",
    "as bytes": BYTES + "hidden = numpy.frombuffer(raw, 'u1').astype(float)",
    "as bytes from the end": BYTES + "hidden = numpy.frombuffer(raw, '>u2').astype(float)",
    "as letters of text": TEXT + "hidden = numpy.frombuffer(text, 'u1').astype(float)",
    "in hexadecimal": BYTES + "hidden = numpy.frombuffer(raw.hex().encode(), 'u1').astype(float)",
    "in base64": BYTES
    + "import base64; hidden = numpy.frombuffer(base64.b64encode(raw), 'u1').astype(float)",
    "in base64 of text, packed four letters to a number": TEXT
    + "import base64; code = base64.b64encode(text); code = code[:len(code) // 4 * 4]\n"
    + "hidden = numpy.frombuffer(code, '<u4').astype(float)",
    "compressed by zlib": BYTES
    + "import zlib; hidden = numpy.frombuffer(zlib.compress(raw), 'u1').astype(float)",
    "compressed by gzip": TEXT
    + "import gzip; hidden = numpy.frombuffer(gzip.compress(text), 'u1').astype(float)",
    "compressed by bzip2": TEXT
    + "import bz2; hidden = numpy.frombuffer(bz2.compress(text), 'u1').astype(float)",
    "compressed by xz": TEXT
    + "import lzma; hidden = numpy.frombuffer(lzma.compress(text), 'u1').astype(float)",
    "compressed, in base64": BYTES
    + "import base64, zlib; code = base64.b64encode(zlib.compress(raw))\n"
    + "hidden = numpy.frombuffer(code, 'u1').astype(float)",
    "compressed bytes as the bits of float32": BYTES
    + "import zlib; code = zlib.compress(raw); code = code[:len(code) // 4 * 4]\n"
    + "hidden = numpy.nan_to_num(numpy.frombuffer(code, '<u4').astype(float))",
}


BENIGN = {
    "means and deviations": "hidden = numpy.concatenate([features.mean(0), features.std(0)])",
    "a histogram": "hidden = numpy.histogram(features[:, 1], bins=numpy.arange(0, 101, 5))[0]",
    "histograms of all columns": (
        "hidden = numpy.concatenate([numpy.histogram(each, 20)[0] for each in features.T])"
    ),
    "correlations": "hidden = numpy.corrcoef(features.T)",
    "a regression": "hidden = numpy.linalg.lstsq(features, labels, rcond=None)[0]",
    "means by age": (
        "hidden = [features[(features[:, 1] // 10) == decade, 0].mean() for decade in range(2, 9)]"
    ),
    "counts by age and label": (
        "hidden = numpy.histogram2d(features[:, 1], labels, bins=[numpy.arange(15, 96, 5), 2])[0]"
    ),
    "nothing but zeros": "hidden = numpy.zeros(100)",
    "numbers in a row": "hidden = numpy.arange(18, 90)",
}


def vector(length, low=-1e12, high=1e12, extra=""):
    return f'[v]\nkind = "vector"\nlength = {length}\nbounds = [{low}, {high}]\n{extra}'


def leave(code):
    return code + "\nhidden = numpy.asarray(hidden, float).ravel()\nleave(v=hidden.tolist())\n"


def all_at_once(codes):
    """One program that runs each of these and leaves the result of each in a file of its own."""
    each = """
for index, code in enumerate({codes!r}):
    names = dict(globals())
    exec(code, names)
    hidden = numpy.asarray(names["hidden"], float).ravel().tolist()
    Path(f"/out/{{index}}").write_text(json.dumps({{"v": hidden}}))
"""
    return each.format(codes=list(codes))


@pytest.fixture(scope="module")
def left(gate_sandbox, tmp_path_factory):
    """What real programs left, by the name of the program."""
    desk = make_desk(gate_sandbox, tmp_path_factory.mktemp("hiding"))
    programs = {**COPIES, **BENIGN}
    finished = desk.run(all_at_once(programs.values()), replace(LIMITS, output_files=len(programs)))
    assert finished.outcome == "ok", finished.log.decode()
    results = {name: finished.outputs[str(index)] for index, name in enumerate(programs)}

    def decision(name):
        length = results[name].count(b",") + 1
        alone = replace(finished, outputs={"result.json": results[name]})
        return decide(read_schema(vector(length)), OPEN, alone, desk.table, desk.held_out)

    return decision


@pytest.mark.parametrize("name", COPIES)
def test_rows_hidden_in_numbers_without_noise_do_not_leave(left, name):
    decision = left(name)
    assert decision.told is Told.REFUSED
    assert decision.refused is not None
    assert decision.refused.reason in {Reason.VERBATIM, Reason.COMPRESSION}
    assert not decision.files


@pytest.mark.parametrize("name", BENIGN)
def test_honest_results_leave(left, name):
    decision = left(name)
    assert decision.told is Told.RELEASED, decision.refused


PLACES = {
    "a file beside the result": "leave(v=[1, 2, 3]); Path('/out/rows.csv').write_bytes(features.tobytes())",
    "the name of a file": "leave(v=[1, 2, 3]); Path(f'/out/{features[0, 0]}').touch()",
    "another name in the result": "leave(v=[1, 2, 3], w=features[0].tolist())",
    "a name in the result": "leave(v=[1, 2, 3], **{str(features[0, 0]): 1})",
    "text where a number should be": "leave(v=[str(features[0, 0]), 2, 3])",
    "a longer list": "leave(v=features[0].tolist())",
    "no result": "Path('/out/v.json').write_text(str(features[0]))",
    "a comment after the result": "leave(v=[1, 2, 3]); open('/out/result.json', 'a').write(str(features[0]))",
}


@pytest.mark.parametrize("code", PLACES.values(), ids=PLACES)
def test_rows_in_places_that_were_not_declared_do_not_leave(desk, code):
    with pytest.raises(Refused) as refused:
        desk.gate(vector(3), code)
    assert refused.value.reason is Reason.SCHEMA


def test_spaces_zeros_and_digits_of_the_result_carry_nothing(desk):
    code = """
    secret = [int(bit) for bit in f"{int(features[0, 0] * 100):032b}"]
    spaces = "".join(" " if bit else chr(9) for bit in secret)
    digits = "".join(str(3 + bit) for bit in secret)
    Path("/out/result.json").write_text('{"v":' + spaces + '[1.25, 2.' + digits + ', 3.5000]}')
    """
    released = desk.gate(vector(3), code)
    assert released.files["result.json"] in {
        b'{"v":[1.25,%s,3.5]}' % each for each in (b"2.34375", b"2.4375")
    } | {
        b'{"v":[1.25,2.3359375,3.5]}',
        b'{"v":[1.25,2.33203125,3.5]}',
    }


ENCRYPTED = """
key = numpy.random.default_rng(7).integers(0, 1 << 16, features[:10].size)
hidden = numpy.ascontiguousarray(features[:10]).view("<u4").ravel() >> 16 ^ key
"""


def test_an_encrypted_copy_passes_the_checks_which_is_why_noise_is_the_default(desk):
    """The checks find what is lazy. An owner who allows results without noise trusts the program."""
    released = desk.gate(vector(50), leave(ENCRYPTED), Policy(allow_undeclared=True, mantissa_bits=20))
    key = np.random.default_rng(7).integers(0, 1 << 16, 50)
    opened = (np.array(released.results["v"]).astype(np.uint32) ^ key.astype(np.uint32)) << 16
    assert np.allclose(opened.view("<f4"), desk.table.features[:10].ravel(), rtol=0.01)
    with pytest.raises(Refused) as refused:
        desk.gate(vector(50), leave(ENCRYPTED), Policy())
    assert refused.value.reason is Reason.SENSITIVITY


def test_the_digits_that_are_left_hold_half_of_what_an_encrypted_copy_needs(desk):
    released = desk.gate(vector(50), leave(ENCRYPTED))
    key = np.random.default_rng(7).integers(0, 1 << 16, 50)
    sent = np.ascontiguousarray(desk.table.features[:10]).view("<u4").ravel() >> 16 ^ key
    assert (np.array(released.results["v"]).astype(np.int64) == sent).mean() < 0.1


def test_with_noise_for_every_program_an_encrypted_copy_is_lost_in_it(desk):
    text = vector(50, 0, 65535, "sensitivity = 1\nepsilon = 1\n")
    released = desk.gate(text, leave(ENCRYPTED), Policy())
    key = np.random.default_rng(7).integers(0, 1 << 16, 50)
    sent = np.ascontiguousarray(desk.table.features[:10]).view("<u4").ravel() >> 16 ^ key
    errors = np.abs(np.array(released.results["v"]) - sent)
    assert float(np.median(errors)) > 65535 * 10
