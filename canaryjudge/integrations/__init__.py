"""What other tools say, read in, and what they want back: one file a tool."""
