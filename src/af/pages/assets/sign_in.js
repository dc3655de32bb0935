// The sign-in page: passkeys (also offered in the e-mail field) and wallets.

import { begin, ethereumWallets, hasPasskeys, phantom, post, proveEthereum, provePasskey, proveSolana, Refused, showTrouble } from "./ways.js";

const place = document.getElementById("trouble");
const returnTo = document.getElementById("ways").dataset.returnTo;
const button = (way) => document.querySelector(`button[data-way="${way}"]`);
let waiting = null;

/** Send a proof and go on; an account with a second factor is asked for that. */
async function enter(address, proof) {
  try {
    const done = await post(address, { ...proof, session: "cookie" });
    location.assign(returnTo || done.redirect || "/");
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== "second_factor_required") throw error;
    location.assign("/login/second-factor" + (returnTo ? `?return_to=${encodeURIComponent(returnTo)}` : ""));
  }
}

function on(element, act) {
  element.hidden = false;
  element.addEventListener("click", async () => {
    place.hidden = true;
    element.disabled = true;
    try {
      await act();
    } catch (error) {
      showTrouble(place, error);
    } finally {
      element.disabled = false;
    }
  });
}

const challenge = (claim) => begin("/auth/wallet/challenge", claim);
const ethereum = async (provider) => enter("/auth/wallet/verify", await proveEthereum(provider, challenge));

const askForPasskey = () => begin("/auth/passkey/options");

async function passkey({ publicKey, flow }, more = {}) {
  return enter("/auth/passkey/verify", { credential: await provePasskey(publicKey, more), flow });
}

/** The passkeys of this device among the suggestions of the e-mail field, without asking for any click. */
async function suggestPasskeys() {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  waiting = new AbortController();
  const { signal } = waiting;
  const asked = await askForPasskey().catch(() => null); // nobody asked for anything yet: no complaint either
  if (!asked) return;
  await passkey(asked, { mediation: "conditional", signal }).catch((error) => {
    if (error instanceof Refused) showTrouble(place, error); // anything else: nobody chose one
  });
}

async function start() {
  const key = button("passkey");
  if (key && hasPasskeys()) {
    on(key, async () => {
      waiting?.abort(); // one question at a time
      await passkey(await askForPasskey());
    });
    suggestPasskeys();
  }
  const solana = button("solana");
  if (solana) {
    on(solana, async () => {
      const wallet = phantom();
      if (!wallet) throw new Refused("There is no Phantom wallet in this browser.", { hint: "Install it from phantom.com, then load this page again." });
      await enter("/auth/wallet/verify", await proveSolana(wallet, challenge));
    });
  }
  const wallet = button("ethereum");
  if (wallet) {
    on(wallet, async () => {
      const found = await ethereumWallets();
      if (found.length === 0) throw new Refused("There is no Ethereum wallet in this browser.", { hint: "Install MetaMask or another wallet, then load this page again." });
      if (found.length === 1) return ethereum(found[0].provider);
      const choices = found.map(({ name, provider }) => {
        const choice = Object.assign(document.createElement("button"), { type: "button", className: "second whole", textContent: name });
        on(choice, () => ethereum(provider));
        return choice;
      });
      document.getElementById("wallets").replaceChildren(...choices);
      document.getElementById("wallets").hidden = false;
      choices[0].focus();
    });
  }
}

start();
