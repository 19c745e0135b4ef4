"""What a commit answers, asked by its public API and its command line: a file a section of the record."""
