"""The live path: source → view → wire → window → engine → aggregator → sinks."""
