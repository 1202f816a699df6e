# SPDX-License-Identifier: Apache-2.0
"""Reads payment headers; a channel's later vouchers by comparison with its first.

From one call to the next only the amount and the signature change in a buyer's header of some 1,500 bytes.
When everything around them is, byte for byte, what was read and checked before, only those two are read
again. Any other header takes the long way, with the same result.
"""

from __future__ import annotations

import binascii
import re
from typing import Final, NamedTuple

from koinon.services.gateway.x402 import BatchPayment, Payment, Terms, decode, parse_payment
from koinon.works.vouchers import Voucher

_VOUCHER: Final = re.compile(
    rb'"maxClaimableAmount": ?"([0-9]{1,39})", ?"signature": ?"0x([0-9a-fA-F]{130})"'
)
_NAME_LENGTH: Final = 512
_LIMIT: Final = 4096


class _Form(NamedTuple):
    """A header with a window in it. ``start`` and ``end`` in the header, the rest in the decoded window."""

    payment: BatchPayment
    before: bytes
    after: bytes
    start: int
    end: int
    amount: slice
    signature: slice
    fixed: tuple[bytes, bytes, bytes]


class HeaderReader:
    """Reads the headers of one service."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._forms: dict[tuple[int, bytes], _Form] = {}

    def read(self, header: bytes) -> Payment:
        """The payment; raises MalformedPayment as `decode` and `parse_payment` do."""
        name = (len(header), header[:_NAME_LENGTH])
        form = self._forms.get(name)
        if form is not None:
            found = _by_form(form, header)
            if found is not None:
                return found
        payment = parse_payment(decode(header), self._terms)
        if isinstance(payment, BatchPayment) and payment.kind == "voucher":
            form = _form_of(header, payment)
            if form is not None:
                if len(self._forms) >= _LIMIT:
                    self._forms.clear()
                self._forms[name] = form
        return payment


def _by_form(form: _Form, header: bytes) -> BatchPayment | None:
    if not header.startswith(form.before) or not header.endswith(form.after):
        return None
    try:
        window = binascii.a2b_base64(header[form.start : form.end], strict_mode=True)
        signature = bytes.fromhex(window[form.signature].decode())
    except ValueError:
        return None
    amount = window[form.amount]
    fixed = (
        window[: form.amount.start],
        window[form.amount.stop : form.signature.start],
        window[form.signature.stop :],
    )
    if fixed != form.fixed or not amount.isdigit() or len(signature) != 65:
        return None
    known = form.payment
    voucher = Voucher(known.voucher.channel_id, int(amount), signature)
    return BatchPayment("voucher", known.config, voucher)


def _form_of(header: bytes, payment: BatchPayment) -> _Form | None:
    """The form of a header that was read; None where its voucher is not written in the usual order."""
    text = binascii.a2b_base64(header)
    found = _VOUCHER.search(text)
    if found is None:
        return None
    if (
        int(found[1]) != payment.voucher.amount
        or bytes.fromhex(found[2].decode()) != payment.voucher.signature
    ):
        return None
    first, last = found.start() // 3, -(-found.end() // 3)
    shift = first * 3
    window = text[shift : last * 3]
    amount = slice(found.start(1) - shift, found.end(1) - shift)
    signature = slice(found.start(2) - shift, found.end(2) - shift)
    return _Form(
        payment,
        header[: first * 4],
        header[last * 4 :],
        first * 4,
        last * 4,
        amount,
        signature,
        (window[: amount.start], window[amount.stop : signature.start], window[signature.stop :]),
    )
