# SPDX-License-Identifier: Apache-2.0
"""A stranger finds data, computes on them from a browser, and receives the gated result and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from tests.browser import browsing
from tests.data.market_support import table

GREEDY = """
import json, sys
import numpy as np

stored = np.load(f"{sys.argv[1]}/table.npz")
print(stored["features"].tolist())
np.save(f"{sys.argv[2]}/rows.npy", stored["features"])
with open(f"{sys.argv[2]}/result.json", "w") as file:
    json.dump({"mean": float(stored["features"][0, 1]), "rows": stored["features"].tolist()}, file)
"""


def test_a_stranger_buys_a_compute_job_and_receives_only_the_gated_result(town, browser):
    context = browsing.profile(browser)
    page = context.new_page()
    said = browsing.complaints(page)
    page.goto(f"{town.place.base}/datasets")
    page.get_by_role("link", name="Loans of a regional bank").first.click()
    page.wait_for_url(f"**/datasets/{town.world.market}")
    page.get_by_role("heading", name="What may be known of it?").wait_for()
    page.get_by_role("link", name="Compute on it").click()
    page.wait_for_url("**/compute")
    browsing.come_in_as_guest(page, town.place, f"/datasets/{town.world.market}/compute")
    where = browsing.compute(page, town.place, town.world)
    page.locator("#job[data-state='released']").wait_for()
    assert page.locator("#result tbody tr").count() == 1
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download result.json").click()
    result = json.loads(Path(downloading.value.path()).read_bytes())
    assert set(result) == {"mean"}
    assert result["mean"] != float(table().features[:, 1].mean())
    assert page.locator("#job li a[download]").count() == 1
    _shows_no_row(page)
    stranger = browsing.profile(browser)
    other = stranger.new_page()
    for path in (where, f"{where}/files/result.json"):
        answer = other.goto(town.place.base + path)
        assert answer is not None
        assert answer.status == 404
    assert said == []
    stranger.close()
    context.close()


def test_a_program_that_wants_the_rows_gets_noise_and_the_buyer_is_told_why_a_form_is_refused(town, browser):
    context = browsing.profile(browser)
    page = context.new_page()
    browsing.come_in_as_guest(page, town.place)
    page.goto(f"{town.place.base}/datasets/{town.world.market}/compute")
    page.set_input_files("#file", {"name": "rows.py", "mimeType": "text/x-python", "buffer": GREEDY.encode()})
    page.fill("#schema", '[verdict]\nkind = "choice"\noptions = ["yes", "no"]\n')
    page.fill("#blocks", "1")
    page.locator("form.form button.primary").click()
    page.get_by_text("has no declared sensitivity, so it would leave without noise").wait_for()
    page.goto(f"{town.place.base}/datasets/{town.world.market}/compute")
    page.set_input_files("#file", {"name": "rows.py", "mimeType": "text/x-python", "buffer": GREEDY.encode()})
    page.fill("#seconds", "3")
    page.fill("#blocks", "1")
    page.locator("form.form button.primary").click()
    page.wait_for_url("**/actions/*")
    page.get_by_text("19 times in 20").first.wait_for()
    page.locator("main button.primary").click()
    page.locator("#action[data-state='done']").wait_for()
    page.get_by_role("link", name="See it").click()
    page.locator("#job[data-state='released']").wait_for()
    _shows_no_row(page)
    assert page.locator("#job li a[download]").count() == 1
    context.close()


def _shows_no_row(page):
    """No income of a customer is on the page: each is one of a kind."""
    text = page.content()
    shown = set(re.findall(r"\d+\.\d+", text))
    incomes = {f"{value:.6g}" for value in np.unique(table().features[:, 0])}
    assert not incomes & shown
