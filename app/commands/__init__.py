"""The commands of `betting`, a module for each kind; each loads only what it needs, so that --help answers at once."""
