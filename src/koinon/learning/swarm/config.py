# SPDX-License-Identifier: Apache-2.0
"""What a peer's process is told."""

from __future__ import annotations

from dataclasses import dataclass

from koinon.learning.config_file import ConfigFile


@dataclass(frozen=True, kw_only=True)
class PeerConfig(ConfigFile):
    """One peer of one run.

    Attributes
    ----------
    run_id : int
        The run on chain.
    network : str
        A network description's file.
    recipe : str
        The recipe's file, JSON or TOML; its digest must be the run's.
    data_dir : str
        Where the journal, the identity and at the end the model are kept; one run each.
    table, label : str
        The owner's own file, read here and sent nowhere; none for a peer that lends computing only.
    work_id : int
        The owner's dataset Work; with 0 it is published on first use.
    name : str
        What that Work is called.
    dataset_dir : str
        Where it is remembered that it was published, from run to run; ``data_dir`` when empty.
    minimum_share : int
        The least share of the model's income this owner agrees to, in 1e-9.
    host, port, url
        Where to listen (port 0: any free one), and how others reach that (found from them when empty).
    stake : int
        In the smallest unit of the run's token; 0 for the least there is.
    contribution_set, held_out : str
        Where the common sets are, or will be once they are revealed; asked of other peers when empty.
    show_alone : bool
        Whether the model made alone is put beside the common one in ``data_dir``; not where the recipe
        promises privacy.
    share_report : bool
        Whether the others are told what the recipe asks of owners' own rows.
    """

    run_id: int
    network: str
    recipe: str
    data_dir: str
    table: str = ""
    label: str = "labels"
    work_id: int = 0
    name: str = "Data set"
    dataset_dir: str = ""
    minimum_share: int = 0
    host: str = "127.0.0.1"
    port: int = 0
    url: str = ""
    stake: int = 0
    contribution_set: str = ""
    held_out: str = ""
    show_alone: bool = False
    share_report: bool = True
