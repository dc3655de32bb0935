"""Copies of content on networks that are not ours: where they are wanted, how they are made, proved by reading them
back, and repaired.

Not here: our own blocks (`af.storage`), names that point at content (`af.names`).
"""
