"""Azure Blob's own emulator from its npm package, for the tests that ask for it."""
