"""Every figure that the project states, each by a command that anybody can repeat."""
