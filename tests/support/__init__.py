"""Real parts for tests: servers, browsers and programs that are started, awaited and always stopped."""
