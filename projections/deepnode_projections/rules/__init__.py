"""The rules: what each event means for the books. One file a mechanism, in plain Python, to be read by an auditor."""
