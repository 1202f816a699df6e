# SPDX-License-Identifier: Apache-2.0
"""What an owner's process is told when it starts, and the little it needs of a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from koinon.chain.address import ZERO_ADDRESS, checksum
from koinon.errors import BadInput, NotFound
from koinon.learning.config_file import ConfigFile


@dataclass(frozen=True, kw_only=True)
class OwnerConfig(ConfigFile):
    """What an owner's process needs to know.

    Attributes
    ----------
    leader, opener, run_id
        Where the leader serves, whose signature counts, and which run.
    table
        The owner's own file; it is read here and goes nowhere.
    keystore, password_file
        Encrypted key; the password may come from the variable ``KOINON_PASSWORD`` instead of a file.
    data_dir
        Where the final model and the result are kept.
    network
        A network description's file; empty for runs without a chain.
    label
        The table's label column.
    work_id
        The owner's dataset Work; with a network and 0, it is published on first use.
    name
        What that Work is called.
    minimum_share
        The least share of the model's income this owner agrees to, in 1e-9.
    share_alone
        Whether the model made alone may be measured by the leader.
    share_report
        Whether what the recipe has owners tell of their own rows is told; it is found out either way.
    """

    leader: str
    opener: str
    run_id: int
    table: str
    data_dir: str
    network: str = ""
    label: str = "labels"
    work_id: int = 0
    name: str = "Data set"
    minimum_share: int = 0
    share_alone: bool = True
    share_report: bool = True


@dataclass(frozen=True)
class Network:
    """The three numbers an owner needs of a network."""

    chain_id: int
    federation: str
    works: str

    @classmethod
    def load(cls, path: str) -> Network:
        """From a network description's file; zeros without one."""
        if not path:
            return cls(0, ZERO_ADDRESS, ZERO_ADDRESS)
        try:
            content = orjson.loads(Path(path).read_bytes())
            contracts = content["contracts"]
            return cls(
                int(content["chain_id"]), checksum(contracts["Federation"]), checksum(contracts["Works"])
            )
        except OSError as error:
            raise NotFound(
                f"There is no network description at {path}.", code="chain.network_file"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} is not a network description.", code="chain.network_file") from error
