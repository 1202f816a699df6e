// SPDX-License-Identifier: Apache-2.0
// Wallets in this browser: found by EIP-6963, spoken to by EIP-1193, signed in with by EIP-4361.
"use strict";
window.koinon = (() => {
  const found = new Map();
  const listeners = [];
  addEventListener("eip6963:announceProvider", (event) => {
    const { info, provider } = event.detail;
    if (found.has(info.uuid)) return;
    found.set(info.uuid, { name: String(info.name), rdns: String(info.rdns), provider });
    listeners.forEach((listener) => listener());
  });

  const remembered = () => localStorage.getItem("koinon-wallet");

  async function post(address, csrf, fields) {
    const answer = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify(fields),
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error([said.title, said.detail].filter(Boolean).join(" "));
    return said;
  }

  async function onChain(provider, chain, tell) {
    const now = async () => Number(await provider.request({ method: "eth_chainId" }));
    if ((await now()) === Number(chain.chainId)) return;
    tell();
    try {
      await provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId: chain.chainId }] });
    } catch (error) {
      if (error.code === 4001) throw error;
      await provider.request({ method: "wallet_addEthereumChain", params: [chain] });
    }
    if ((await now()) !== Number(chain.chainId)) throw Object.assign(new Error(), { code: 4001 });
  }

  const hex = (text) =>
    "0x" + Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, "0")).join("");

  const words = (error, place) => (error.code === 4001 ? place.dataset.refused : error.message);

  async function comeIn(wallet, place) {
    const state = place.querySelector(".wallet-state");
    const { provider } = wallet;
    try {
      const [address] = await provider.request({ method: "eth_requestAccounts" });
      await onChain(provider, JSON.parse(place.dataset.chain), () => (state.textContent = place.dataset.chainWords));
      const { message } = await post(place.dataset.message, place.dataset.csrf, { address });
      state.textContent = place.dataset.signWords;
      const signature = await provider.request({ method: "personal_sign", params: [hex(message), address] });
      const next = place.dataset.next;
      const said = await post(place.dataset.login, place.dataset.csrf, { message, signature, next });
      localStorage.setItem("koinon-wallet", wallet.rdns);
      location.assign(said.next);
    } catch (error) {
      state.textContent = words(error, place);
    }
  }

  const place = document.getElementById("wallet");
  if (place) {
    const show = () => {
      place.querySelector(".wallets").replaceChildren(
        ...Array.from(found.values(), (wallet) => {
          const button = document.createElement("button");
          button.className = "button";
          button.type = "button";
          button.textContent = wallet.name;
          button.addEventListener("click", () => comeIn(wallet, place));
          return button;
        }),
      );
      place.querySelector(".wallet-state").textContent = found.size ? "" : place.dataset.none;
    };
    listeners.push(show);
    setTimeout(() => found.size || show(), 600);
  }

  const code = document.querySelector("#operator input[name=code]");
  if (code && location.hash.length > 1) {
    code.value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname + location.search);
  }

  dispatchEvent(new Event("eip6963:requestProvider"));
  return {
    post,
    onChain,
    words,
    wallet: () => {
      const all = [...found.values()];
      return all.find((wallet) => wallet.rdns === remembered()) || all[0];
    },
  };
})();
