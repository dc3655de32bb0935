"""All tests: unit/, conformance/, e2e/, and what they share in support/."""
