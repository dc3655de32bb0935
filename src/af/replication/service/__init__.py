"""What replication does: `arweave` puts a folder's files on Arweave one by one."""
