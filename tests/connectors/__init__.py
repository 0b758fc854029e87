"""The shelf connectors, each against a provider on loopback."""
