"""Content: blocks by CID, what is kept and why, uploads, garbage collection."""
