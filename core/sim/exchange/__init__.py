"""A Binance-compatible spot exchange on loopback, for demos and tests; its matching is ``core.decide.matching``."""
