"""The command line: what a person asks about one release."""
