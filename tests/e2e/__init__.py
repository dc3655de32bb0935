"""The whole platform as real processes."""
