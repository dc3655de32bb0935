"""IPFS formats: CIDs, dag-pb blocks, UnixFS files and directories, CAR archives.

Everything here computes; nothing here stores or sends. The importer hands each block to a `put` function it is given,
the reader asks a `get` function for blocks by CID, and both run the same in the client and in the server. Bytes and
CIDs are those that Kubo makes with the same import profile (`unixfs.PROFILES`).

    cid        parse, print, make and verify content identifiers
    varint     unsigned LEB128 integers
    dagpb      the dag-pb and UnixFS messages
    datamodel  the IPLD data model: what a block says, whatever its codec
    dagjson    dag-json and plain JSON blocks; blocks of any codec to values and back
    dagcbor    dag-cbor and plain CBOR blocks
    pbform     dag-pb in the data model
    unixfs     import: files, symlinks, directories, whole trees -> blocks
    export     read: resolve paths, list, read ranges, walk
    hamt       the sharded-directory layout the two share
    car        CAR archives, written and read as a stream
    ipns       IPNS names and signed records
    peerkeys   the libp2p keys that sign them, in Kubo's export formats
    messages   the protobuf messages of the two
    paths      which file names we accept
"""
