# SPDX-License-Identifier: Apache-2.0
"""Runs whose messages Flower carries: the same recipe, learners and rules as a ServerApp and ClientApps.

Flower lives in an environment of its own (``tools/setup.sh flower``), reached as processes only. In Koinon's
environment: `engine`, `superlink`, `environment`, `processes`. In Flower's: `client_app` on `node`, and
`server_app` on `rounds` and `coordinator`, which import nothing else of Koinon than learning's lean part.
"""
