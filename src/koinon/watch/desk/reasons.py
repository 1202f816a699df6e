# SPDX-License-Identifier: Apache-2.0
"""What the watch wrote into findings and cases, in English, in the reader's language.

Files keep sentences, not numbers. Those that the watch writes itself are known by their form; others, such as
what a list says of somebody, stay as they are.
"""

from __future__ import annotations

import re
from typing import Final

from koinon.web import gettext
from koinon.web import marked as _

SENTENCES: Final = (
    _("Money came back over %(transfers)s transfers; the smallest is %(part)s of the largest."),
    _("One transfer closes more than %(cycles)s cycles."),
    _("Money went from one account to another over %(accounts)s others."),
    _("A sum moved on %(steps)s times, and each time a small part of it went to somebody else."),
    _("An account was paid by %(accounts)s others within %(time)s."),
    _("An account paid %(accounts)s others within %(time)s."),
    _("An account was paid by %(accounts)s others or more and then paid as many."),
    _("At least %(part)s of what came in left again within %(time)s."),
    _("%(transfers)s transfers from %(part)s of %(sum)s up to just below it."),
    _("It is on the list %(list)s."),
    _("It is below %(like)s, which is on the list %(list)s."),
    _("It begins and ends as %(like)s, which is on the list %(list)s."),
    _("It begins and ends as %(like)s, which you deal with, and is another."),
    _("It is a few letters from %(like)s, which others imitate (list %(list)s)."),
    _("It is part of case %(case)s now."),
    _("Case %(case)s is part of it now."),
    _("There is a new finding (%(kind)s)."),
)
_FORMS: Final = tuple(
    (sentence, re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+?)", re.escape(sentence))))
    for sentence in SENTENCES
)


def in_words(text: str) -> str:
    """A sentence of the watch's in the reader's language; nothing where it is not one of its own."""
    for sentence, form in _FORMS:
        found = form.fullmatch(text)
        if found is not None:
            return gettext(sentence, **found.groupdict())
    return ""
