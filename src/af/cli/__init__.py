"""The ``af`` command: one file per noun, one function per verb. It reaches the platform only through the SDK."""
