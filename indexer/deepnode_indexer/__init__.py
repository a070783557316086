"""From Base logs and signed task events to the log."""
