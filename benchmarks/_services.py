# SPDX-License-Identifier: Apache-2.0
"""Services to search: many whose descriptions are generated, and a few written by hand with questions.

Nothing here was ever published: the many are put together from lists of words by a seed, and measure time,
not relevance. The few were written for this, in English and Chinese, by the same hand as their questions.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

FIELDS: Final = (
    "credit", "weather", "traffic", "speech", "tea", "harbour", "bird song", "soil", "invoices", "x-rays",
    "contracts", "satellite images", "wind", "tides", "bread", "music", "bridges", "crops", "parcels",
    "信用", "地震", "雨量", "稻米", "空氣品質", "公車到站", "病歷摘要", "法律條文",
    "颱風路徑", "漁獲", "古籍",
)  # fmt: skip
VERBS: Final = (
    "predicts", "classifies", "translates", "summarises", "ranks", "cleans", "counts", "transcribes",
    "預測", "分類", "翻譯", "摘要", "排序", "辨識", "計數",
)  # fmt: skip
FOR: Final = (
    "banks", "farmers", "cities", "clinics", "schools", "ports", "insurers", "museums", "農民", "醫院",
    "市政府", "學校", "港口", "保險公司",
)  # fmt: skip
HOW: Final = (
    "hour by hour", "from one photograph", "in forty languages", "with an interval",
    "without storing anything",
    "from a table of rows", "每小時更新", "只需一張照片", "附信賴區間", "不保留資料",
)  # fmt: skip

FEW: Final = (
    ("Debt score", "How likely a customer is to pay back a loan, from income and debts."),
    ("Card fraud watch", "Marks card payments that were probably not made by the card's owner."),
    ("House price", "What a flat would sell for, from its size, age and street."),
    ("Rain by the hour", "Rainfall for the next six hours at any place on the island."),
    ("Typhoon track", "Where a storm will be in a day, with a cone of doubt."),
    ("Tide tables", "High and low water for a hundred harbours."),
    ("Bird by its song", "Names the bird in a recording."),
    ("Speech to text", "Writes down what is said in a sound file, in forty languages."),
    ("Read aloud", "Turns a text into a voice."),
    ("Letter translator", "English and Mandarin, both ways, for business mail."),
    ("Contract reader", "Finds clauses about liability and ending in an agreement."),
    ("Invoice fields", "Sender, date, sum and tax out of a photographed bill."),
    ("X-ray triage", "Sorts chest images by how soon a doctor should look."),
    ("Crop doctor", "Tells the disease of a leaf from a photograph."),
    ("Parcel route", "The shortest way past a list of addresses."),
    ("Bus arrival", "Minutes until the next bus at a stop."),
    ("信用評分", "依收入與負債估計客戶按時還款的機率。"),
    ("逐時雨量預報", "未來六小時各地的降雨量。"),
    ("公車到站", "下一班公車還有幾分鐘到站。"),
    ("中英翻譯", "商業書信的中英互譯。"),
    ("發票辨識", "從照片讀出統一編號、日期與金額。"),
    ("水稻病害", "從葉片照片判斷病害種類。"),
    ("地震速報", "地震發生後估計各地震度。"),
    ("古籍斷句", "替沒有標點的文言文加上句讀。"),
)
"""(name, description), in the order of their numbers from 1."""

QUESTIONS: Final = (
    ("loan", 1), ("will a customer pay back", 1), ("fraud", 2), ("stolen card payments", 2),
    ("price of a flat", 3), ("rainfall tomorrow", 4), ("storm forecast", 5), ("low water harbour", 6),
    ("which bird is singing", 7), ("transcribe a recording of a meeting", 8), ("text into voice", 9),
    ("translate mail", 10), ("liability clauses", 11), ("tax on bills", 12), ("chest images", 13),
    ("plant disease from a photo", 14), ("delivery route", 15), ("next bus", 16), ("還款", 17),
    ("收入 負債", 17),
    ("降雨", 18), ("雨量", 18), ("公車", 19), ("翻譯書信", 20), ("讀出發票金額", 21), ("葉片病害", 22),
    ("震度", 23), ("文言文標點", 24),
)  # fmt: skip
"""(question, number of the service that it means)."""


def many(count: int, seed: int = 1) -> Iterator[tuple[str, str]]:
    """So many generated (name, description)."""
    dice = random.Random(seed)
    for number in range(count):
        field, verb, whom = dice.choice(FIELDS), dice.choice(VERBS), dice.choice(FOR)
        also = dice.choice(FIELDS)
        yield (
            f"{field} {verb} {number}",
            f"{verb} {field} and {also} for {whom}, {dice.choice(HOW)}. Release {dice.randrange(50)}.",
        )


def questions(count: int, seed: int = 2) -> list[str]:
    """So many generated questions of one to four words."""
    dice = random.Random(seed)
    return [
        " ".join(dice.choice(dice.choice((FIELDS, VERBS, FOR))) for _ in range(dice.randint(1, 4)))
        for _ in range(count)
    ]
