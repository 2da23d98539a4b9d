"""What is reachable over HTTP. Imported only by the commands that serve."""
