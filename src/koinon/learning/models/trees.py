# SPDX-License-Identifier: Apache-2.0
"""Gradient-boosted trees that owners grow round by round and unite (bagging, as in XGBoost's federated mode).

In every round each owner grows trees with LightGBM on its own rows, starting from the raw scores of the
common ensemble, and writes them into its own slot of that round. Updates therefore never overlap: uniting
them is copying. A round adds the mean of its owners' trees, weighted by their rows. Prediction is NumPy
alone; a process that serves needs no LightGBM.

Vector layout, all float32: ``rounds`` x ``owners`` slots. A slot is the owner's number of rows (0: empty) and
its trees; a tree is, with L = ``leaves``, L - 1 each of split feature, threshold, left and right child, and
then L leaf values. Child c >= 0 is node c, which comes after its parent; c < 0 is leaf -1 - c. A row goes
left where its feature is at most the threshold. Thresholds are rounded down to float32, which decides every
float32 number as LightGBM's float64 threshold does; leaf values are rounded to nearest.

Missing values: tables have none (`koinon.tables` refuses them). A NaN given for prediction counts as 0, which
after a recipe's scaling is the column's centre; training does the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from koinon.errors import BadInput
from koinon.extras import required
from koinon.learning.models.base import Labels, Matrix, Training, Vector
from koinon.learning.models.outputs import Scores, probabilities_of

MAXIMUM_ROWS = 2**22
MAXIMUM_SIZE = 2**26
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Trees:
    """Boosted trees in fixed slots.

    Parameters
    ----------
    inputs, classes : int
        More than two classes grow one tree each.
    rounds, owners : int
        The layout: as many as the recipe's rounds, and at least as many owners as may join.
    trees : int
        Boosting steps an owner adds a round.
    leaves : int
        The most leaves of a tree.
    leaf_rows : int
        The fewest rows a leaf may stand for.
    bins : int
        Histogram bins a column.

    Of `Training`, ``learning_rate`` is the shrinkage and ``weight_decay`` the L2 penalty of leaf values;
    epochs, steps and batch have no meaning. Round 0, training alone, fills slot 0 of every round.
    """

    inputs: int
    classes: int
    rounds: int
    owners: int
    trees: int = 1
    leaves: int = 16
    leaf_rows: int = 20
    bins: int = 63

    def __post_init__(self) -> None:
        counts = (self.inputs, self.rounds, self.owners, self.trees, self.leaf_rows)
        if any(not isinstance(count, int) or count < 1 for count in counts) or self.classes < 2:
            raise BadInput(
                "Trees need inputs, two classes, rounds, owners and rows a leaf.", code="learning.model"
            )
        if not 2 <= self.leaves <= 4096 or not 2 <= self.bins <= 255 or self.size > MAXIMUM_SIZE:
            raise BadInput(
                "The trees are too large, or have fewer than two leaves.",
                hint=f"At most 4,096 leaves, 255 bins and {MAXIMUM_SIZE:,} numbers in all slots.",
                code="learning.model",
            )

    @property
    def outputs(self) -> int:
        """Raw scores a row: the log odds, or one a class."""
        return 1 if self.classes == 2 else self.classes

    @property
    def tree_size(self) -> int:
        return 4 * (self.leaves - 1) + self.leaves

    @property
    def slot_size(self) -> int:
        return 1 + self.trees * self.outputs * self.tree_size

    @property
    def size(self) -> int:
        return self.rounds * self.owners * self.slot_size

    @property
    def guided(self) -> bool:
        return False

    @property
    def averages(self) -> bool:
        return False

    @property
    def schema(self) -> bytes:
        name = (
            f"trees {self.inputs}-{self.outputs} slots {self.rounds}x{self.owners} "
            f"trees {self.trees} leaves {self.leaves} rows {self.leaf_rows} bins {self.bins} float32"
        )
        return hashlib.sha256(name.encode()).digest()

    def initial(self, seed: int) -> Vector:
        """No trees."""
        del seed
        return np.zeros(self.size, dtype=np.float32)

    def probabilities(self, vector: Vector, inputs: Matrix) -> NDArray[np.float64]:
        return probabilities_of(self.raw(vector, inputs), self.classes)

    def raw(self, vector: Vector, inputs: Matrix, *, rounds: int | None = None) -> Scores:
        """Raw scores of shape (rows, outputs) of the first ``rounds`` rounds, all by default.

        Raises
        ------
        BadInput
            Another length, or slots that hold no trees.
        """
        slots = self.slots(vector)[: self.rounds if rounds is None else rounds]
        rows = np.where(np.isnan(inputs), np.float32(0), inputs)
        total = np.zeros((inputs.shape[0], self.outputs))
        for slot_row in slots:
            counts = slot_row[:, 0].astype(np.float64)
            for owner in np.flatnonzero(counts):
                trees = slot_row[owner, 1:].reshape(-1, self.tree_size)
                for index, tree in enumerate(trees):
                    total[:, index % self.outputs] += counts[owner] / counts.sum() * self._scores(tree, rows)
        return total

    def slots(self, vector: Vector) -> NDArray[np.float32]:
        """View of shape (rounds, owners, slot size), after checking that every tree can be walked."""
        if vector.shape != (self.size,):
            raise BadInput(
                f"The model has {self.size} numbers, the vector {vector.shape}.", code="learning.vector_size"
            )
        found = vector.reshape(self.rounds, self.owners, self.slot_size)
        counts = found[:, :, 0]
        trees = found[counts != 0][:, 1:].reshape(-1, self.tree_size)
        splits = self.leaves - 1
        features, left, right = (
            trees[:, :splits],
            trees[:, 2 * splits : 3 * splits],
            trees[:, 3 * splits : -self.leaves],
        )
        node = np.arange(splits)
        used = (left != 0) | (right != 0)
        sound = (
            bool(np.isfinite(found).all())
            and bool(((counts >= 0) & (counts <= MAXIMUM_ROWS) & (counts == np.rint(counts))).all())
            and bool(((features >= 0) & (features < self.inputs) & (features == np.rint(features))).all())
            and all(
                bool((~used | ((child < splits) & (child >= -self.leaves) & (child == np.rint(child)))).all())
                and bool((~used | (child < 0) | (child > node)).all())
                for child in (left, right)
            )
            and bool(used[:, 0].all())
        )
        if not sound:
            raise BadInput(
                "The vector holds no trees of this model.",
                hint="It is damaged, or was changed by something that averages.",
                code="learning.trees",
            )
        return found

    def train(
        self,
        vector: Vector,
        inputs: Matrix,
        labels: Labels,
        training: Training,
        seed: int,
        *,
        drift: Vector | None = None,
    ) -> Vector:
        """The vector with this owner's slot of this round filled.

        Raises
        ------
        BadInput
            A round or slot the layout lacks, or guidance, which trees cannot follow.
        """
        if drift is not None or training.proximal:
            raise BadInput("Trees take no guidance.", hint="Use fedavg.", code="learning.method")
        inside = training.round <= self.rounds and (training.round == 0 or training.slot < self.owners)
        if not inside or training.round < 0 or training.slot < 0:
            raise BadInput(
                f"The trees have no slot for owner {training.slot} in round {training.round}.",
                hint="Give the model as many rounds as the recipe, and as many owners as may join.",
                code="learning.model",
            )
        result = vector.copy()
        slots = self.slots(result)
        alone = training.round == 0
        for number in range(1, self.rounds + 1) if alone else (training.round,):
            before = self.raw(result, inputs, rounds=number - 1) if slots[: number - 1, :, 0].any() else None
            grown = self._grow(before, inputs, labels, training, seed + number if alone else seed)
            slots[number - 1, 0 if alone else training.slot] = grown
        return result

    def check_change(self, change: Vector, slot: int, number: int, examples: int) -> None:
        """Refuse an owner's change that is more than trees in its own slot of round ``number`` (BadInput).

        Trees weigh by the rows a slot names, so these must be the rows the owner signed for.
        """
        slots = self.slots(change)
        own = slots[number - 1, slot] if number <= self.rounds and slot < self.owners else change[:0]
        if not own.size or own[0] != examples or np.count_nonzero(change) != np.count_nonzero(own):
            raise BadInput(
                "An update of trees goes beyond its owner's slot, or claims other rows.",
                hint="Every owner fills the slot of its place and round, with the rows it joined with.",
                code="learning.trees",
            )

    def _grow(
        self, before: Scores | None, inputs: Matrix, labels: Labels, training: Training, seed: int
    ) -> Vector:
        lightgbm = required("lightgbm", extra="trees")
        settings = {
            "objective": "binary" if self.classes == 2 else "multiclass",
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.leaf_rows,
            "max_bin": self.bins,
            "learning_rate": training.learning_rate,
            "lambda_l2": training.weight_decay,
            "boost_from_average": self.classes == 2,
            "use_missing": False,
            "seed": seed % 2**31,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "feature_pre_filter": False,
            "verbosity": -1,
        }
        if self.classes > 2:
            settings["num_class"] = self.classes
        start = before if before is None or self.classes > 2 else before[:, 0]
        rows = np.where(np.isnan(inputs), np.float32(0), inputs)
        data = lightgbm.Dataset(rows, labels, init_score=start, params=settings)
        booster = lightgbm.train(settings, data, num_boost_round=self.trees)
        slot = np.zeros(self.slot_size, dtype=np.float32)
        slot[0] = min(labels.shape[0], MAXIMUM_ROWS)
        blocks = slot[1:].reshape(-1, self.tree_size)
        blocks[:] = self._leaf(0.0)
        for block, described in zip(blocks, booster.dump_model()["tree_info"], strict=False):
            block[:] = self._encoded(described["tree_structure"])
        return slot

    def _leaf(self, value: float) -> Vector:
        """A tree that gives every row the same."""
        tree = np.zeros(self.tree_size, dtype=np.float32)
        splits = self.leaves - 1
        tree[[splits, 2 * splits, 3 * splits]] = (LARGEST, -1, -1)
        tree[4 * splits] = value
        return tree

    def _encoded(self, root: dict[str, Any]) -> Vector:
        if "split_index" not in root:
            return self._leaf(float(root["leaf_value"]))
        tree = np.zeros(self.tree_size, dtype=np.float32)
        splits = self.leaves - 1
        waiting, numbers = [root], {id(root): 0}
        while waiting:
            node = waiting.pop()
            at = numbers[id(node)]
            tree[at], tree[splits + at] = node["split_feature"], _rounded_down(float(node["threshold"]))
            for place, child in ((2, node["left_child"]), (3, node["right_child"])):
                if "split_index" in child:
                    numbers[id(child)] = len(numbers)
                    tree[place * splits + at] = numbers[id(child)]
                    waiting.append(child)
                else:
                    leaf = int(child.get("leaf_index", 0))
                    tree[place * splits + at] = -1 - leaf
                    tree[4 * splits + leaf] = child["leaf_value"]
        return tree

    def _scores(self, tree: Vector, inputs: Matrix) -> Scores:
        splits = self.leaves - 1
        features = tree[:splits].astype(np.int64)
        thresholds = tree[splits : 2 * splits]
        left = tree[2 * splits : 3 * splits].astype(np.int64)
        right = tree[3 * splits : 4 * splits].astype(np.int64)
        node = np.zeros(inputs.shape[0], dtype=np.int64)
        walking = np.arange(inputs.shape[0])
        while walking.size:  # ends: a child comes after its parent
            at = node[walking]
            goes_left = inputs[walking, features[at]] <= thresholds[at]
            after = np.where(goes_left, left[at], right[at])
            node[walking] = after
            walking = walking[after >= 0]
        values = tree[4 * splits :].astype(np.float64)
        result: Scores = values[-1 - node]
        return result


def _rounded_down(threshold: float) -> np.float32:
    """The largest float32 number not above it: ``x <= threshold`` stays the same for every float32 x."""
    within = min(max(threshold, -LARGEST), LARGEST)
    near = np.float32(within)
    return near if float(near) <= within else np.nextafter(near, np.float32(-np.inf))
