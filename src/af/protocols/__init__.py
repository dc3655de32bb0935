"""Published standards as pure code: bytes in, values out. No I/O, no clock, no knowledge of the platform."""
