// What only the browser can do: wallets and passkeys. Any EIP-1193 provider will do: MetaMask, others found by
// EIP-6963, and WalletConnect's provider where an extension or a wrapper puts one.

export class Refused extends Error {
  constructor(message, { hint = "", code = "", status = 0 } = {}) {
    super(message);
    Object.assign(this, { hint, code, status });
  }
}

/** POST JSON to the platform; its problem documents become `Refused`. */
export async function post(address, body = {}, credentials = "same-origin") {
  const response = await fetch(address, {
    method: "POST",
    credentials,
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
  }).catch(() => {
    throw new Refused("The platform does not answer.", { hint: "Is it still running? Try again." });
  });
  const reply = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(reply.detail ?? `HTTP ${response.status}`, { ...reply, status: response.status });
  return reply;
}

/** Begin a sign-in of this page alone. It answers with the `flow` that it was given, so it takes no cookie, which would
 * replace that of a sign-in that waits for its code in another tab. */
export const begin = (address, claim) => post(address, claim, "omit");

/** The Ethereum wallets of this browser: [{name, provider}]. They announce themselves (EIP-6963); MetaMask's older
 * place, window.ethereum, counts when none does. */
export async function ethereumWallets(milliseconds = 150) {
  const found = new Map();
  const announced = (event) => {
    const { info, provider } = event.detail ?? {};
    if (info?.uuid && provider?.request) found.set(info.uuid, { name: String(info.name).slice(0, 60), provider });
  };
  addEventListener("eip6963:announceProvider", announced);
  dispatchEvent(new Event("eip6963:requestProvider"));
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  removeEventListener("eip6963:announceProvider", announced);
  const older = globalThis.ethereum;
  if (found.size === 0 && older?.request) found.set("", { name: older.isMetaMask ? "MetaMask" : "Browser wallet", provider: older });
  return [...found.values()];
}

/** A signed proof of an Ethereum account: what /auth/wallet/verify takes. `ask` fetches the text to sign. */
export async function proveEthereum(provider, ask) {
  const [address] = await provider.request({ method: "eth_requestAccounts" });
  if (!address) throw new Refused("The wallet shows no account.", { hint: "Unlock it, then try again." });
  const chainId = String(Number(await provider.request({ method: "eth_chainId" }).catch(() => "0x1")));
  const asked = await ask({ chain: "ethereum", address, chainId });
  const bytes = new TextEncoder().encode(asked.message);
  const hex = "0x" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const signature = await provider.request({ method: "personal_sign", params: [hex, address] });
  return { chain: "ethereum", address, message: asked.message, signature, flow: asked.flow };
}

export const phantom = () => globalThis.phantom?.solana ?? (globalThis.solana?.isPhantom ? globalThis.solana : null);

/** The same for a Solana account. */
export async function proveSolana(wallet, ask) {
  const { publicKey } = await wallet.connect();
  const address = publicKey.toString();
  const asked = await ask({ chain: "solana", address });
  const { signature } = await wallet.signMessage(new TextEncoder().encode(asked.message), "utf8");
  return { chain: "solana", address, message: asked.message, signature: base58(signature), flow: asked.flow };
}

/** Bitcoin's base58, which Solana writes keys and signatures in. */
export function base58(bytes) {
  const letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
  let number = 0n;
  for (const byte of bytes) number = number * 256n + BigInt(byte);
  let text = "";
  for (; number > 0n; number /= 58n) text = letters[Number(number % 58n)] + text;
  for (const byte of bytes) {
    if (byte !== 0) break;
    text = letters[0] + text;
  }
  return text;
}

export const hasPasskeys = () => Boolean(globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON);

/** Ask for a passkey. `mediation: "conditional"` waits in the e-mail field's suggestions. */
export async function provePasskey(publicKey, more = {}) {
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(publicKey);
  const credential = await navigator.credentials.get({ publicKey: options, ...more });
  return credential.toJSON();
}

export async function makePasskey(publicKey) {
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(publicKey);
  const credential = await navigator.credentials.create({ publicKey: options });
  return credential.toJSON();
}

/** What to tell about a failure, in place; the wallet's and the browser's own words say little. */
export function trouble(error) {
  if (error instanceof Refused) return [error.message, error.hint];
  if (error?.code === 4001 || error?.name === "NotAllowedError") return ["Nothing was signed: it was cancelled, or took too long.", "Try again when you are ready."];
  if (error?.name === "InvalidStateError") return ["This device has a passkey for the account already.", ""];
  if (error?.name === "SecurityError") return ["Passkeys work only at the platform's own address.", ""];
  return [`The wallet or browser refused: ${String(error?.message ?? error).slice(0, 200)}`, ""];
}

export function showTrouble(place, error) {
  const [message, hint] = trouble(error);
  const line = (text, name) => Object.assign(document.createElement("p"), { textContent: text, className: name });
  place.replaceChildren(line(message, ""), ...(hint ? [line(hint, "faint")] : []));
  place.hidden = false;
}
