"""The composition root: settings become backends, backends and domains become targets, targets become processes.

`af up` is three layers of processes. The *front* (`launch`) is what the user started: it holds the folder's locks and
the listening socket, prints the banner and takes signals. The *keeper* (`supervisor`) starts, restarts and ends the
parts, and ends all of them when the front is gone. The *parts* (`child`) are the edge (HTTP) and the worker (durable
work).
Nothing is imported here, so that `af --version` and the two upper layers stay small.
"""
