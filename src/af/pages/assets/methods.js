// Adding a passkey or a wallet to the account that is signed in.

import { ethereumWallets, hasPasskeys, makePasskey, phantom, post, proveEthereum, proveSolana, Refused, showTrouble } from "./ways.js";

const place = document.getElementById("trouble");
const begin = (method, claim = {}) => post("/account/methods/link", { method, ...claim });
const verify = (method, proof) => post("/account/methods/link/verify", { method, ...proof });

/** The port's claim has no `chain`: the method says it. */
const ask = ({ chain, ...claim }) => begin(chain, claim);
const answer = ({ chain, ...proof }) => verify(chain, proof);

const ways = {
  async passkey() {
    const { publicKey, flow } = await begin("passkey");
    await verify("passkey", { credential: await makePasskey(publicKey), flow });
  },
  async ethereum() {
    const [wallet] = await ethereumWallets();
    if (!wallet) throw new Refused("There is no Ethereum wallet in this browser.", { hint: "Install MetaMask or another wallet, then load this page again." });
    await answer(await proveEthereum(wallet.provider, ask));
  },
  async solana() {
    const wallet = phantom();
    if (!wallet) throw new Refused("There is no Phantom wallet in this browser.", { hint: "Install it from phantom.com, then load this page again." });
    await answer(await proveSolana(wallet, ask));
  },
};

for (const button of document.querySelectorAll("button[data-way]")) {
  if (button.dataset.way === "passkey" && !hasPasskeys()) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    place.hidden = true;
    button.disabled = true;
    try {
      await ways[button.dataset.way]();
      location.assign("/settings/methods?done=method_added");
    } catch (error) {
      if (error.code === "reauthentication_required") location.assign("/login?again=1&return_to=/settings/methods");
      else showTrouble(place, error);
    } finally {
      button.disabled = false;
    }
  });
}
