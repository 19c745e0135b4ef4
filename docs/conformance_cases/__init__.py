"""What other tools' own cases come to here: a file a tool."""
