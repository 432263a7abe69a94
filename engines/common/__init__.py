"""What every package uses: errors with a fix in them, command lines, files that are never overwritten."""
