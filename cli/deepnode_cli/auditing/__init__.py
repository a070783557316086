"""The audit's commands: the log and the books looked at by other means than those that made them."""
