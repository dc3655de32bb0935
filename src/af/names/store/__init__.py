"""Names: every SQL statement that touches them, one file for each kind of name."""

from af.names.store import ens as ens
from af.names.store import ipns as ipns
