# SPDX-License-Identifier: Apache-2.0
"""Where heavy work runs: an executor, by default a pool of processes, by one setting a Dask scheduler."""

from koinon.compute.executor import ProcessExecutor, executor, run_all

__all__ = ["ProcessExecutor", "executor", "run_all"]
