// arweave-js and arbundles at work for tests: one JSON command per line in, one JSON answer per line out.
// Started in a folder whose node_modules has both. `make` produces what the recorded vectors hold.

import { createHash, generateKeyPairSync } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.cwd() + "/package.json");
const Arweave = require("arweave");
const merkle = require("arweave/node/lib/merkle");
const bundles = require("arbundles");

const client = Arweave.init({ host: "127.0.0.1", port: 9, protocol: "http" });
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64url"));
const text = (value) => Buffer.from(value).toString("base64url");

function pattern(size) {
  // As tests.support.arweave_js.pattern: no two chunks are equal.
  const out = Buffer.alloc(size);
  for (let at = 0, block = 0; at < size; at += 32, block++)
    createHash("sha256").update(String(block)).digest().copy(out, at);
  return out;
}

async function tree(data) {
  const { data_root, chunks, proofs } = await merkle.generateTransactionChunks(data);
  return { root: text(data_root), ends: chunks.map((c) => c.maxByteRange), proofs: proofs.map((p) => text(p.proof)) };
}

const commands = {
  async tree({ size }) {
    return tree(pattern(size));
  },
  async verify_transaction({ transaction }) {
    return client.transactions.verify(client.transactions.fromRaw(transaction));
  },
  async verify_chunk({ root, offset, size, proof }) {
    const found = await merkle.validatePath(bytes(root), offset, 0, size, bytes(proof));
    return found === false ? false : found.chunkSize;
  },
  async verify_item({ item }) {
    const raw = Buffer.from(item, "base64url");
    if (!(await bundles.DataItem.verify(raw))) return false;
    const found = new bundles.DataItem(raw);
    return { id: found.id, tags: found.tags, data: text(found.rawData), owner: found.owner, anchor: found.rawAnchor.toString("base64url") };
  },
  async verify_bundle({ bundle }) {
    const found = bundles.unbundleData(Buffer.from(bundle, "base64url"));
    if (!(await found.verify())) return false;
    return found.items.map((item) => item.id);
  },
  async address({ jwk }) {
    return client.wallets.jwkToAddress(jwk);
  },
  async make_transaction({ jwk, data, tags, anchor, reward }) {
    const made = await client.createTransaction({ data: bytes(data), last_tx: anchor, reward }, jwk);
    for (const { name, value } of tags) made.addTag(name, value);
    await client.transactions.sign(made, jwk);
    return made.toJSON();
  },
  async make_item({ jwk, data, tags, anchor }) {
    return signed(new bundles.ArweaveSigner(jwk), data, { tags, anchor });
  },
  async make_foreign_items({ data, tags }) {
    const ed25519 = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
    const pair = Buffer.concat([Buffer.from(ed25519.d, "base64url"), Buffer.from(ed25519.x, "base64url")]);
    const base58 = require("bs58").encode(pair);
    const secp = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey.export({ format: "jwk" });
    return {
      ed25519: await signed(new bundles.SolanaSigner(base58), data, { tags }),
      solana: await signed(new bundles.HexSolanaSigner(base58), data, { tags }),
      ethereum: await signed(new bundles.EthereumSigner(Buffer.from(secp.d, "base64url").toString("hex")), data, { tags }),
    };
  },
  async make_bundle({ jwk, items }) {
    const signer = new bundles.ArweaveSigner(jwk);
    const made = items.map(({ data, tags }) => bundles.createData(Buffer.from(data, "base64url"), signer, { tags }));
    return text((await bundles.bundleAndSignData(made, signer)).getRaw());
  },
};

async function signed(signer, data, options) {
  const item = bundles.createData(Buffer.from(data, "base64url"), signer, options);
  await item.sign(signer);
  return text(item.getRaw());
}

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  let answer;
  try {
    answer = { result: await commands[command](rest) };
  } catch (error) {
    answer = { error: String(error && error.stack) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
