"""Content types, as `af.protocols.media` finds them: the gateway serves files with them."""

from af.protocols.media import SNIFF_BYTES, UNKNOWN, is_compressible, type_of

__all__ = ["SNIFF_BYTES", "UNKNOWN", "is_compressible", "type_of"]
