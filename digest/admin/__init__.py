"""What an admin does, for commands and pages alike: interest lists, figures, readers."""
