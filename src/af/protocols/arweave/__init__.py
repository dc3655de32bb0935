"""Arweave: wallets, the chunk tree, format-2 transactions, and manifests. Nothing here stores or sends.

The rules are those of https://docs.arweave.org/developers/arweave-node-server/http-api and of the reference client,
arweave-js. The data items that travel inside of transactions are a standard of their own: `af.protocols.ans104`.

    encoding      base64url, ids, amounts, the deep hash
    wallets       RSA-4096 keys in JWK files, signatures, addresses
    chunks        how data is cut, its Merkle root, the proof of each chunk
    transactions  format-2 transactions
    manifests     arweave/paths: many files under one id
"""
