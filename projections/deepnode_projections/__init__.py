"""From the log to state: pure folds, their tables, rebuild and audit."""
