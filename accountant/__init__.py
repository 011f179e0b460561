"""What was released and what it costs: events, accounting methods, the ledger."""
