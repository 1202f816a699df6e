// SPDX-License-Identifier: Apache-2.0
// An action on its way: shows each step, hands the node's wishes to the wallet and its answers back.
"use strict";
(() => {
  const place = () => document.getElementById("action");
  const { events, wish: wishes, answer, csrf, chain, none } = place().dataset;
  let asked = "";
  let showing = Promise.resolve();

  const tell = (text) => {
    const state = place().querySelector(".wallet-state");
    if (state) state.textContent = text;
  };

  async function ask(wish) {
    const wallet = window.koinon.wallet();
    if (!wallet) return tell(none);
    asked = wish.id;
    const say = (kind, text) => window.koinon.post(answer, csrf, { wish: wish.id, kind, text });
    try {
      await wallet.provider.request({ method: "eth_requestAccounts" });
      await window.koinon.onChain(wallet.provider, JSON.parse(chain), () => {});
      const result = await wallet.provider.request({ method: wish.method, params: wish.params });
      await say("result", String(result));
    } catch (error) {
      if (error.code === 4001) await say("refused", "");
      else tell(error.message);
    }
  }

  async function show() {
    const page = await (await fetch(location.href, { headers: { Accept: "text/html" } })).text();
    const read = new DOMParser().parseFromString(page, "text/html");
    const fresh = read.getElementById("action");
    if (!fresh) return location.reload();
    document.title = read.title;
    document.querySelector("h1").replaceWith(document.adoptNode(read.querySelector("h1")));
    place().replaceWith(document.adoptNode(fresh));
    if (fresh.dataset.state !== "running") return source.close();
    const wish = await (await fetch(wishes)).json();
    if (!wish) return;
    const button = document.getElementById("open-wallet");
    if (button) {
      button.hidden = false;
      button.addEventListener("click", () => ask(wish));
    }
    if (wish.id !== asked) ask(wish);
  }

  const soon = () => (showing = showing.then(show, show));
  const source = new EventSource(events);
  source.addEventListener("change", soon);
  source.addEventListener("end", () => {
    source.close();
    soon();
  });
})();
